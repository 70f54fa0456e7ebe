"""The checklist of the specification (docs/spec/deploy_rest.md section 16), point by point, through the gateway."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from services.deploy_svc.store import services
from tests.integration.deploy_svc.agents import log_line, log_pusher, running_it
from tests.integration.deploy_svc.engine_fixtures import Agent, ignore
from tests.integration.deploy_svc.http_world import Http, HttpWorld
from tests.integration.deploy_svc.stack_rest import document, link, service
from tests.integration.deploy_svc.stand_ins import GRID, NODE_1

SERVICES, STACKS = "/v1/grids/g1/services", "/v1/grids/g1/stacks"
REDIS = "/v1/services/g1/null/redis"
SHOP = "/v1/stacks/g1/shop"
BODY = {"name": "redis", "image": "redis:3.0", "stateful": True}


@pytest.fixture
async def node(edge: HttpWorld) -> AsyncIterator[Agent]:
    async with edge.node() as agent:
        yield agent


@pytest.fixture
async def redis(http: Http) -> Any:
    return await http.call("POST", SERVICES, BODY, 201)


async def settled(http: Http, deploy: Any) -> Any:
    return await http.until(f"{SHOP}/deploys/{deploy['id']}", lambda found: found["state"] in {"success", "error"})


async def test_1_a_new_service(redis: Any) -> None:
    shown = {name: redis[name] for name in ("id", "state", "revision", "instances", "stop_grace_period")}
    assert shown == {
        "id": "g1/null/redis", "state": "initialized", "revision": 1, "instances": 1, "stop_grace_period": 10
    }  # fmt: skip
    assert redis["deploy_opts"]["min_health"] == 0.8


async def test_2_a_missing_attribute(http: Http) -> None:
    body = {"name": "redis", "image": "redis:3.0"}
    assert await http.refused("POST", SERVICES, body) == (422, {"stateful": "Stateful is required"})


@pytest.mark.usefixtures("redis")
async def test_3_a_name_is_taken(http: Http) -> None:
    status, error = await http.refused("POST", SERVICES, BODY)
    assert (status, list(error)) == (422, ["name"])


async def test_4_errors_of_elements(http: Http) -> None:
    wrong = "isn't in the right format"
    assert await http.refused("POST", SERVICES, {**BODY, "env": ["FOO"]}) == (422, {"env": [f"Env[0] {wrong}"]})
    mixed = await http.refused("POST", SERVICES, {**BODY, "env": ["A=1", "FOO"]})
    assert mixed == (422, {"env": [None, f"Env[1] {wrong}"]})


async def test_5_variables_without_a_value_keep_theirs(http: Http) -> None:
    await http.call("POST", SERVICES, {**BODY, "env": ["FOO=1", "BAR=2"]}, 201)
    for _ in range(2):
        found = await http.call("PUT", REDIS, {"env": ["FOO="]})
        assert (found["env"], found["revision"]) == (["FOO=1"], 2)


async def test_6_an_empty_list_clears_and_null_changes_nothing(http: Http) -> None:
    await http.call("POST", SERVICES, {**BODY, "name": "db"}, 201)
    await http.call("POST", SERVICES, {**BODY, "links": [{"name": "null/db", "alias": "db"}]}, 201)
    for nothing in ({}, {"links": None}):
        assert len((await http.call("PUT", REDIS, nothing))["links"]) == 1
    assert (await http.call("PUT", REDIS, {"links": []}))["links"] == []


async def test_7_null_clears_one_deploy_option(http: Http) -> None:
    await http.call("POST", SERVICES, {**BODY, "deploy_opts": {"wait_for_port": 6379, "interval": 60}}, 201)
    found = await http.call("PUT", REDIS, {"deploy_opts": {"wait_for_port": None}})
    assert (found["deploy_opts"].get("wait_for_port"), found["deploy_opts"]["interval"]) == (None, 60)


async def test_8_a_health_check_is_switched_off(http: Http) -> None:
    made = await http.call("POST", SERVICES, {**BODY, "health_check": {"port": 80, "protocol": "http"}}, 201)
    assert {"health_check", "health_status"} <= set(made)
    off = await http.call("PUT", REDIS, {"health_check": {"port": None, "protocol": None}})
    assert not {"health_check", "health_status"} & set(off)


async def test_9_scale(http: Http, redis: Any) -> None:
    deploy = await http.call("POST", f"{REDIS}/scale", {"instances": 3})
    assert (deploy["service_id"], deploy["state"], deploy["instance_count"]) == (redis["id"], "created", 3)
    found = await http.call("GET", REDIS)
    assert (found["instances"], found["revision"]) == (3, 1)
    assert await http.refused("POST", f"{REDIS}/scale", {}) == (422, {"instances": "Instances can't be nil"})
    assert await http.refused("POST", f"{REDIS}/scale") == (422, {"instances": "Instances can't be nil"})


async def test_10_and_11_deploys_wait_in_line_and_a_stop_ends_them(http: Http, redis: Any, node: Agent) -> None:
    node.behave = ignore
    first, second = [await http.call("POST", f"{REDIS}/deploy", {}) for _ in range(2)]
    assert first["id"] != second["id"]
    await http.until(f"{REDIS}/deploys/{first['id']}", lambda found: found["state"] == "ongoing")
    waiting = await http.until(f"{REDIS}/deploys/{second['id']}", lambda found: "queued_at" in found)
    assert (waiting["state"], "started_at" in waiting) == ("created", False)
    assert await http.call("POST", f"{REDIS}/stop", {}) == {}
    ended = await http.deployed(REDIS, second)
    assert (ended["state"], "started_at" in ended, bool(ended["reason"])) == ("error", False, True)
    assert (await http.deployed(REDIS, first))["state"] == "error"


async def test_12_a_circle_of_links(http: Http) -> None:
    circle = document(service("a", links=[link("b")]), service("b", links=[link("a")]))
    status, error = await http.refused("POST", STACKS, circle)
    assert (status, list(error)) == (422, ["services"])
    assert isinstance(error["services"]["a"]["links"], str)
    assert await http.refused("GET", SHOP) == (404, "Not found")


async def test_13_an_upgrade_waits_for_its_deploy(http: Http, node: Agent) -> None:
    web = "/v1/services/g1/shop/web"
    await http.call("POST", STACKS, document(service("web")), 201)
    await settled(http, await http.call("POST", f"{SHOP}/deploy"))
    changed = await http.call("PUT", SHOP, document(service("web", image="busybox:2")))
    assert (changed["revision"], changed["services"][0]["image"]) == (2, "busybox:1")
    assert (await settled(http, await http.call("POST", f"{SHOP}/deploy", {})))["state"] == "success"
    found = await http.call("GET", web)
    assert (found["image"], found["stack_revision"]) == ("busybox:2", 2)


async def test_14_the_same_document_is_no_new_revision(http: Http) -> None:
    await http.call("POST", STACKS, document(), 201)
    assert (await http.call("PUT", SHOP, document()))["revision"] == 1


async def test_15_a_removed_service_goes_at_the_deploy(http: Http, node: Agent) -> None:
    await http.call("POST", STACKS, document(service("web"), service("old")), 201)
    await settled(http, await http.call("POST", f"{SHOP}/deploy"))
    changed = await http.call("PUT", SHOP, document(service("web")))
    assert {one["name"] for one in changed["services"]} == {"web", "old"}
    assert (await settled(http, await http.call("POST", f"{SHOP}/deploy")))["state"] == "success"
    assert [one["name"] for one in (await http.call("GET", SHOP))["services"]] == ["web"]


async def test_16_a_deleted_stack_is_gone_in_the_end(http: Http, node: Agent) -> None:
    await http.call("POST", STACKS, document(), 201)
    assert await http.call("DELETE", SHOP) == {}
    assert await http.gone(SHOP) == "Not found"


async def pushed(edge: HttpWorld, *lines: str, container: str = "c1") -> None:
    session = edge.engine.around.grids.nodes.records[NODE_1].session
    async with edge.engine.db.read() as tx:
        found = await services.find(tx, GRID, "null", "redis")
    assert found is not None
    async with (
        running_it(edge.engine.db, found.id, NODE_1),
        log_pusher(edge.served.channel, session=session) as pusher,
    ):
        await pusher.push(
            [log_line(data, at, service_id=found.id, container_id=container) for at, data in enumerate(lines)]
        )


@pytest.mark.usefixtures("redis", "node")
async def test_17_which_lines_are_selected(edge: HttpWorld, http: Http) -> None:
    await pushed(edge, *(str(number) for number in range(150)))
    logs = f"{REDIS}/container_logs"
    last = (await http.call("GET", f"{logs}?limit=0"))["logs"]
    assert [item["data"] for item in last] == [str(number) for number in range(50, 150)]
    everything = (await http.call("GET", f"{logs}?limit=20000"))["logs"]
    assert len(everything) == 150
    after = (await http.call("GET", f"{logs}?from={everything[9]['id']}&limit=3"))["logs"]
    assert [item["data"] for item in after] == ["10", "11", "12"]


@pytest.mark.usefixtures("redis", "node")
async def test_18_a_follower_gets_one_document_per_chunk_and_is_kept_alive(edge: HttpWorld, http: Http) -> None:
    await pushed(edge, "one", "two")
    chunks: list[bytes] = []
    async with http.client.stream("GET", f"{REDIS}/container_logs?follow=1", timeout=60) as answer:
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
        assert answer.headers["transfer-encoding"] == "chunked"
        assert "content-length" not in answer.headers
        async for chunk in answer.aiter_raw():
            chunks.append(chunk)
            if len(chunks) >= 4:
                break
    assert [json.loads(chunk)["data"] for chunk in chunks[:2]] == ["one", "two"]
    assert [chunk.strip() for chunk in chunks[2:]] == [b"", b""]


@pytest.mark.usefixtures("redis", "node", "never_looks_by_itself")
async def test_18_a_new_line_is_there_at_once(edge: HttpWorld, http: Http) -> None:
    await pushed(edge, "first")
    async with http.client.stream("GET", f"{REDIS}/container_logs?follow=1", timeout=60) as answer:
        lines = (json.loads(line)["data"] async for line in answer.aiter_lines() if line.strip())
        assert await anext(lines) == "first"
        for number in range(4):
            await pushed(edge, f"line {number}", container=f"n{number}")
            async with asyncio.timeout(30):
                assert await anext(lines) == f"line {number}"


@pytest.mark.usefixtures("redis")
async def test_19_strange_ids_are_not_found(http: Http) -> None:
    for path in ("deploys/foo", "instances/foo", "deploys/" + "f" * 24):
        assert await http.refused("GET", f"{REDIS}/{path}") == (404, "Not found")


async def test_20_a_volume_in_use_stays(http: Http) -> None:
    volume = {"name": "data", "scope": "stack", "driver": "local"}
    made = await http.call("POST", "/v1/volumes/g1", volume, 201)
    assert made["driver_opts"] == {}
    await http.call("POST", SERVICES, {**BODY, "volumes": ["data:/data"]}, 201)
    status, error = await http.refused("DELETE", "/v1/volumes/g1/data")
    assert (status, list(error)) == (422, ["data"])
    assert "null/redis" in error["data"]
    await http.call("DELETE", REDIS)
    assert await http.call("DELETE", "/v1/volumes/g1/data") == {}


def test_every_point_has_a_test() -> None:
    numbers = {int(word) for name in globals() for word in name.removeprefix("test_").split("_") if word.isdigit()}
    assert numbers == set(range(1, 21))
