"""Careful clients through the gateway: repeated POSTs, entity tags and conditional changes (RFC 9110)."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.integration.deploy_svc.engine_fixtures import Agent, ignore
from tests.integration.deploy_svc.http_world import Http, HttpWorld, everything
from tests.integration.deploy_svc.stack_rest import document

SERVICE, STACK = "/v1/services/g1/null/web", "/v1/stacks/g1/shop"
BODY = {"name": "web", "image": "a", "stateful": False}
# Each POST that makes something, in an order in which all of them can.
POSTS: list[tuple[str, Any, int]] = [
    ("/v1/volumes/g1", {"name": "data", "scope": "grid", "driver": "local"}, 201),
    ("/v1/grids/g1/services", BODY, 201),
    (f"{SERVICE}/envs", {"env": "A=1"}, 200),
    (f"{SERVICE}/deploy", {"force": True}, 200),
    (f"{SERVICE}/scale", {"instances": "2"}, 200),
    ("/v1/grids/g1/stacks", document(), 201),
    (f"{STACK}/deploy", None, 200),
]


@pytest.fixture
async def node(edge: HttpWorld) -> AsyncIterator[Agent]:
    async with edge.node() as agent:
        agent.behave = ignore
        yield agent


@pytest.mark.usefixtures("node")
async def test_a_repeated_post_gets_the_first_answer_and_does_nothing(http: Http) -> None:
    for number, (path, body, status) in enumerate(POSTS):
        first = await http.call("POST", path, body, status, idempotency_key=f"key-{number}")
        again = await http.call("POST", path, body, status, idempotency_key=f"key-{number}")
        assert again == first, path
    found = await http.call("GET", SERVICE)
    assert (found["env"], found["revision"], found["instances"]) == (["A=1"], 3, 2)
    key = "key-1"
    status_of_other = await http.refused("POST", "/v1/grids/g1/services", {**BODY, "name": "x"}, idempotency_key=key)
    assert status_of_other == (422, {"idempotency_key": "This Idempotency-Key was used for another request"})


async def test_changes_with_a_stale_tag_are_412_and_change_nothing(edge: HttpWorld, http: Http) -> None:
    await http.call("POST", "/v1/grids/g1/services", BODY, 201)
    await http.call("POST", "/v1/grids/g1/stacks", document(), 201)
    for path, body, second in (
        (SERVICE, {"image": "b"}, {"image": "c"}),
        (STACK, document(version="2"), document(version="3")),
    ):
        tag = (await http.send("GET", path)).headers["etag"]
        changed = await http.send("PUT", path, body, if_match=tag)
        assert changed.status_code == 200
        assert changed.headers["etag"] not in {"", tag}
        before = await everything(edge.engine.db)
        for verb in ("PUT", "DELETE"):
            sent = second if verb == "PUT" else None
            for stale in (tag, f"W/{changed.headers['etag']}", '"x", "y"'):
                refused = await http.refused(verb, path, sent, if_match=stale)
                assert refused == (412, "The resource changed since you read it"), (verb, path, stale)
        after = await everything(edge.engine.db)
        assert {name: rows for name, rows in after.items() if name != "outbox"} == {
            name: rows for name, rows in before.items() if name != "outbox"
        }
        assert (await http.send("PUT", path, second, if_match="*")).status_code == 200
