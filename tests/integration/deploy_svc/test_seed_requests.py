"""The requests of the API reference, sections Stacks and Services, in its order and as it writes them.

Two of its slips are read as meant: a service is stopped with `/stop`, and a deploy is read with its id. Its stacks have
no services, which no version accepts, and no source, which is empty then.
"""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.integration.deploy_svc.engine_fixtures import Agent
from tests.integration.deploy_svc.http_world import Http, HttpWorld

STACK, SERVICE = "/v1/stacks/g1/redis", "/v1/services/g1/null/redis"
CREATE_STACK = {"name": "redis", "stack": "my/redis", "version": "0.1.0", "registry": "file://", "services": []}
MODIFY_STACK = {"stack": "my/redis", "version": "0.1.1", "registry": "file://", "services": []}
REDIS = {"name": "redis", "image": "redis:3.0", "stateful": True}
# Attributes of the service that the reference shows; null ones may be absent.
SHOWN: dict[str, Any] = {
    "id": "g1/null/redis", "name": "redis", "strategy": "ha", "state": "initialized", "image": "redis:3.0",
    "stateful": True, "replicas": 1, "net": "bridge", "ports": [], "env": [], "secrets": [], "volumes": [],
    "volumes_from": [], "cap_add": [], "cap_drop": [], "links": [], "log_opts": {}, "hooks": [], "affinity": [],
    "cmd": [],
}  # fmt: skip
EVERY_ATTRIBUTE: dict[str, Any] = {
    "strategy": "ha", "image": "redis:3.0", "affinity": ["label=region==eu-west-1"],
    "deploy_opts": {"min_health": 0.8, "wait_for_port": 6379, "interval": None}, "user": "root", "replicas": 1,
    "cmd": ["redis"], "entrypoint": "/bin/sh", "net": "bridge", "ports": [], "env": ["FOO=bar"], "secrets": [],
    "memory": 1024000000, "memory_swap": 4096000000, "cpu_shares": 1024, "volumes": ["/data"], "volumes_from": [],
    "cap_add": ["NET_ADMIN"], "cap_drop": [], "links": [], "log_driver": "syslog", "log_opts": None, "hooks": [],
    "health_check": {},
}  # fmt: skip


@pytest.fixture
async def node(edge: HttpWorld) -> AsyncIterator[Agent]:
    async with edge.node() as agent:
        yield agent


@pytest.mark.usefixtures("node")
async def test_stacks(http: Http) -> None:
    assert (await http.refused("POST", "/v1/grids/g1/stacks", CREATE_STACK))[0] == 422
    service = {"name": "redis", "image": "redis:3.0", "stateful": True}
    made = await http.call("POST", "/v1/grids/g1/stacks", {**CREATE_STACK, "services": [service]}, 201)
    shown = {name: made[name] for name in ("id", "name", "stack", "version", "registry")}
    assert shown == {"id": "g1/redis", "name": "redis", "stack": "my/redis", "version": "0.1.0", "registry": "file://"}
    assert (await http.refused("PUT", STACK, MODIFY_STACK))[0] == 422
    assert (await http.call("PUT", STACK, {**MODIFY_STACK, "services": [service]}))["version"] == "0.1.1"
    deploy = await http.call("POST", f"{STACK}/deploy")
    ended = await http.until(f"{STACK}/deploys/{deploy['id']}", lambda found: found["state"] == "success")
    assert [one["service_id"] for one in ended["service_deploys"]] == ["g1/redis/redis"]
    found = await http.call("GET", STACK)
    assert (found["state"], found["services"][0]["id"]) == ("running", "g1/redis/redis")
    assert await http.call("GET", f"{STACK}/container_logs?limit=10&since=2017-01-01T00:00:00Z") == {"logs": []}
    assert await http.call("DELETE", STACK) == {}
    assert await http.gone(STACK) == "Not found"


@pytest.mark.usefixtures("node")
async def test_services(http: Http) -> None:
    assert await http.call("GET", "/v1/grids/g1/services") == {"services": []}
    made = await http.call("POST", "/v1/grids/g1/services", REDIS, 201)
    assert {name: made[name] for name in SHOWN} == SHOWN
    assert made["instance_counts"] == {"total": 0, "running": 0}
    assert (await http.call("PUT", SERVICE, {"image": "redis:3.2"}))["image"] == "redis:3.2"
    deploy = await http.call("POST", f"{SERVICE}/deploy", {})
    assert (await http.deployed(SERVICE, deploy))["state"] == "success"
    for action, state in (("start", "running"), ("restart", "running"), ("stop", "stopped")):
        assert await http.call("POST", f"{SERVICE}/{action}", {}) == {}
        assert (await http.call("GET", SERVICE))["state"] == state
    scaled = await http.deployed(SERVICE, await http.call("POST", f"{SERVICE}/scale", {"instances": 5}))
    assert (scaled["state"], scaled["instance_count"], len(scaled["instance_deploys"])) == ("success", 5, 5)
    (listed,) = (await http.call("GET", "/v1/grids/g1/services"))["services"]
    assert (listed["id"], listed["instances"], listed["instance_counts"]["running"]) == ("g1/null/redis", 5, 5)
    assert await http.call("DELETE", SERVICE) == {}
    assert await http.refused("GET", f"{SERVICE}/deploys/893723489789") == (404, "Not found")


async def test_every_attribute_of_the_reference(http: Http) -> None:
    body = {**EVERY_ATTRIBUTE, "name": "full", "stateful": True}
    made = await http.call("POST", "/v1/grids/g1/services", body, 201)
    options = {"min_health": 0.8, "wait_for_port": 6379}
    changed = {"deploy_opts": {**made["deploy_opts"], **options}, "log_opts": {}}
    wanted = {name: value for name, value in {**EVERY_ATTRIBUTE, **changed}.items() if name != "health_check"}
    assert {name: made[name] for name in wanted} == wanted
    assert "health_check" not in made
