"""Configs of a grid, through the gateway."""

from collections.abc import AsyncIterator

import pytest

from tests.integration.deploy_svc.engine_fixtures import Agent
from tests.integration.deploy_svc.http_world import Http, HttpWorld
from tests.support.eventually import eventually

CONFIGS, ONE = "/v1/grids/g1/configs", "/v1/configs/g1/app.conf"
SERVICE = {
    "name": "web",
    "image": "app",
    "stateful": False,
    "configs": [{"config": "app.conf", "path": "/etc/app.conf"}],
}
WEB = "/v1/services/g1/null/web"


@pytest.fixture
async def node(edge: HttpWorld) -> AsyncIterator[Agent]:
    async with edge.node() as agent:
        yield agent


@pytest.fixture
async def config(http: Http) -> None:
    await http.call("POST", CONFIGS, {"name": "app.conf", "content": " a = 1\n"}, 201)


@pytest.mark.usefixtures("config")
async def test_a_config_is_read_changed_and_removed(http: Http) -> None:
    shown = await http.call("GET", ONE)
    assert {name: shown[name] for name in ("id", "name", "content", "size", "services")} == {
        "id": "g1/app.conf", "name": "app.conf", "content": " a = 1\n", "size": 7, "services": []
    }  # fmt: skip
    (listed,) = (await http.call("GET", CONFIGS))["configs"]
    assert "content" not in listed
    assert listed["size"] == 7
    assert (await http.call("PUT", ONE, {"content": ""}))["size"] == 0
    assert await http.call("DELETE", ONE) == {}
    assert (await http.refused("GET", ONE))[0] == 404


async def test_what_is_no_config_is_refused(http: Http) -> None:
    wrong = [
        {},
        {"name": "-a", "content": ""},
        {"name": "a", "content": "a\0"},
        {"name": "a", "content": "x" * 131_073},
    ]
    found = [await http.refused("POST", CONFIGS, body) for body in wrong]
    assert [(status, sorted(error)) for status, error in found] == [
        (422, ["content", "name"]),
        (422, ["name"]),
        (422, ["content"]),
        (422, ["content"]),
    ]
    await http.call("POST", CONFIGS, {"name": "a", "content": ""}, 201)
    assert await http.refused("POST", CONFIGS, {"name": "a", "content": ""}) == (
        422,
        {"name": "Config with this name already exists"},
    )


@pytest.mark.usefixtures("config")
async def test_a_put_makes_a_config_when_asked_and_keeps_to_the_version_that_was_read(http: Http) -> None:
    assert (await http.refused("PUT", "/v1/configs/g1/new", {"content": "x"}))[0] == 404
    await http.call("PUT", "/v1/configs/g1/new", {"content": "x", "upsert": True}, 201)
    before = (await http.send("GET", ONE)).headers["etag"]
    await http.call("PUT", ONE, {"content": " a = 1\n"}, if_match=before)
    changed = await http.send("PUT", ONE, {"content": "a = 2"}, if_match=before)
    assert (changed.status_code, changed.headers["etag"] != before) == (200, True)
    assert (await http.refused("PUT", ONE, {"content": "a = 3"}, if_match=before))[0] == 412
    assert (await http.refused("DELETE", ONE, if_match=before))[0] == 412


@pytest.mark.usefixtures("config")
async def test_a_service_names_configs_that_exist_and_keeps_them(http: Http) -> None:
    gone = {**SERVICE, "configs": [{"config": "nope"}]}
    assert await http.refused("POST", "/v1/grids/g1/services", gone) == (
        422,
        {"configs": ["Config nope does not exist"]},
    )
    made = await http.call("POST", "/v1/grids/g1/services", SERVICE, 201)
    assert made["configs"] == [{"config": "app.conf", "path": "/etc/app.conf", "mode": "0444"}]
    assert (await http.call("GET", ONE))["services"] == [{"id": "g1/null/web", "name": "web"}]
    status, error = await http.refused("DELETE", ONE)
    assert (status, "g1/null/web" in error["config"]) == (422, True)


@pytest.mark.usefixtures("config")
async def test_a_new_text_reaches_the_node_by_a_deploy_of_its_users(http: Http, node: Agent) -> None:
    await http.call("POST", "/v1/grids/g1/services", SERVICE, 201)
    await http.deployed(WEB, await http.call("POST", f"{WEB}/deploy", {}))
    assert [file.content for item in node.assigned.values() for file in item.files] == [b" a = 1\n"]
    await http.call("PUT", ONE, {"content": "a = 2"})

    async def renewed() -> bool:
        assert [file.content for item in node.assigned.values() for file in item.files] == [b"a = 2"]
        return True

    await eventually(renewed)
    (latest, *_) = (await http.call("GET", f"{WEB}/deploys"))["deploys"]
    assert (latest["origin"], latest["origin_name"]) == ("config", "app.conf")
    count = len((await http.call("GET", f"{WEB}/deploys"))["deploys"])
    await http.call("PUT", ONE, {"content": "a = 2"})
    assert len((await http.call("GET", f"{WEB}/deploys"))["deploys"]) == count
