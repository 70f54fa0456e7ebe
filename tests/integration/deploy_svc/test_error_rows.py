"""Every documented refusal, through the gateway, and that it leaves every row of every table as it was."""

from typing import Any

import pytest

from tests.integration.deploy_svc.http_world import Http, HttpWorld, everything
from tests.integration.deploy_svc.stack_rest import document, link, service
from tests.support.eventually import eventually

pytestmark = pytest.mark.slow

WEB, DB, SHOP = "/v1/services/g1/null/web", "/v1/services/g1/null/db", "/v1/stacks/g1/shop"
SERVICES, STACKS, VOLUMES = "/v1/grids/g1/services", "/v1/grids/g1/stacks", "/v1/volumes/g1"
BODY = {"name": "new", "image": "a", "stateful": False}
VOLUME = {"name": "new", "scope": "grid", "driver": "local"}
ID = "f" * 24
GONE, DENIED = (404, "Not found"), (403, "Access denied")

# verb, path, body, status, and `error` whole, or the names of its attributes.
Row = tuple[str, str, Any, int, Any]


def doc(*services: dict[str, Any], **changed: Any) -> dict[str, Any]:
    return document(*(services or (service("a"),)), **{"name": "new", **changed})


def without(body: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name not in names}


def wrong(attribute: str, value: Any) -> Row:
    return ("POST", SERVICES, {**BODY, attribute: value}, 422, {attribute})


NAMES: list[Row] = [
    ("POST", SERVICES, without(BODY, "name"), 422, {"name": "Name is required"}),
    ("POST", SERVICES, {**BODY, "name": "-x"}, 422, {"name": "Name isn't in the right format"}),
    ("POST", SERVICES, {**BODY, "name": "é"}, 422, {"name": "Name isn't in the right format"}),
    ("POST", SERVICES, {**BODY, "name": ""}, 422, {"name": "Name can't be blank"}),
    ("POST", SERVICES, {**BODY, "name": None}, 422, {"name": "Name can't be nil"}),
    ("POST", SERVICES, {**BODY, "name": "web"}, 422, {"name"}),
    ("POST", SERVICES, {**BODY, "name": "x" * 50}, 422, {"name"}),
    ("POST", SERVICES, without(BODY, "image"), 422, {"image": "Image is required"}),
    ("POST", SERVICES, {**BODY, "image": " "}, 422, {"image": "Image can't be blank"}),
    ("POST", SERVICES, without(BODY, "stateful"), 422, {"stateful": "Stateful is required"}),
    ("POST", SERVICES, {}, 422, {"name", "image", "stateful"}),
    ("POST", SERVICES, {**BODY, "stack": "shop"}, 422, {"stack"}),
]
_WRONG: list[dict[str, Any]] = [
    {"instances": -1}, {"strategy": "best"}, {"net": "overlay"}, {"pid": "container"},
    {"stop_signal": "KILL ME"}, {"stop_grace_period": "1 day"}, {"cpu_shares": 1025}, {"cpus": -1},
    {"memory": -1}, {"env": ["X"]}, {"env": ["A=" + "x" * 131072]}, {"volumes": ["relative"]},
    {"volumes": ["nowhere:/x"]}, {"links": [{"name": "none", "alias": "x"}]},
    {"links": [{"name": "none/x", "alias": "x"}]}, {"links": [{"alias": "x"}]},
    {"secrets": [{"secret": "NONE", "name": "X"}]}, {"secrets": [{"name": "X"}]},
    {"certificates": [{"subject": "none.test", "name": "X"}]}, {"ports": [{"container_port": 80}]},
    {"ports": [{"node_port": 99999, "container_port": 80}]}, {"hooks": {"post_start": [{"name": "x"}]}},
    {"hooks": {"post_start": "x"}}, {"log_opts": "x"}, {"cmd": [{}]},
    {"health_check": {"protocol": "tcp"}}, {"health_check": {"protocol": "udp", "port": 1}},
    {"health_check": {"protocol": "tcp", "port": 0}},
    {"health_check": {"protocol": "tcp", "port": 1, "interval": 1, "timeout": 2}},
    {"deploy_opts": {"min_health": 2}}, {"deploy_opts": {"interval": -1}}, {"spread": "a=b"}, {"max_per_node": -1},
]  # fmt: skip
ATTRIBUTES: list[Row] = [
    *(wrong(name, value) for changed in _WRONG for name, value in changed.items()),
    ("POST", SERVICES, {**BODY, "stateful": True, "volumes_from": ["x"]}, 422, {"volumes_from"}),
    ("POST", SERVICES, {**BODY, "stateful": "perhaps"}, 400, None),
    ("POST", SERVICES, {**BODY, "ports": {"a": 1}}, 422, {"ports"}),
    ("POST", SERVICES, [], 400, "Invalid json"),
]  # fmt: skip
CHANGES: list[Row] = [
    ("PUT", WEB, {"env": ["A=2"], "strategy": "best"}, 422, {"strategy"}),
    ("PUT", WEB, {"image": "b", "links": [{"name": "none", "alias": "x"}]}, 422, {"links"}),
    ("PUT", WEB, {"image": "b", "secrets": [{"secret": "NONE", "name": "X"}]}, 422, {"secrets"}),
    ("PUT", WEB, {"image": "b", "stack": "shop"}, 422, {"stack"}),
    ("PUT", WEB, {"image": ""}, 422, {"image"}),
    ("PUT", WEB, {"instances": "many"}, 400, None),
    ("PUT", DB, {"volumes": ["/data", "/more"]}, 422, {"volumes"}),
    ("DELETE", DB, None, 422, {"service"}),
    ("DELETE", "/v1/services/g1/shop/db", None, 422, {"service"}),
    ("POST", f"{WEB}/scale", {}, 422, {"instances": "Instances can't be nil"}),
    ("POST", f"{WEB}/scale", {"instances": -1}, 422, {"instances": "Instances is too small"}),
    ("POST", f"{WEB}/scale", {"instances": 100_000}, 422, {"instances": "Instances is too big"}),
    ("POST", f"{WEB}/envs", {}, 422, {"env": "Env can't be nil"}),
    ("POST", f"{WEB}/envs", {"env": None}, 422, {"env": "Env can't be nil"}),
    ("GET", f"{SERVICES}?stack=none", None, 404, "Stack not found"),
]
STACK_ROWS: list[Row] = [
    ("POST", STACKS, {}, 422, {"name", "stack", "version", "services"}),
    ("POST", STACKS, doc(name="shop"), 422, {"name"}),
    ("POST", STACKS, doc(name="null"), 422, {"name"}),
    ("POST", STACKS, doc(name="-x"), 422, {"name"}),
    ("POST", STACKS, doc(services=[]), 422, {"services"}),
    ("POST", STACKS, doc(expose="none"), 422, {"expose"}),
    ("POST", STACKS, doc(volumes=[{"name": "v", "external": "none"}]), 422, {"volumes"}),
    ("POST", STACKS, doc(volumes=[{"name": "v"}]), 422, {"volumes"}),
    ("POST", STACKS, doc(service("a"), service("a")), 422, {"services"}),
    ("POST", STACKS, doc(service("a"), service("b", links=[link("none")])), 422, {"services"}),
    ("POST", STACKS, doc(service("a", links=[link("a")])), 422, {"services"}),
    ("POST", STACKS, doc(service("a"), service("b", env=["X"])), 422, {"services": {"b"}}),
    ("POST", STACKS, doc(service("a"), service("x" * 55)), 422, {"services": {"x" * 55}}),
    ("POST", STACKS, doc(service("a", links=[link("shop/none")])), 422, {"services": {"a"}}),
    ("POST", STACKS, doc(service("a", secrets=[{"secret": "NONE", "name": "X"}])), 422, {"services": {"a"}}),
    ("POST", STACKS, doc(service("a", volumes=["nowhere:/x"])), 422, {"services": {"a"}}),
    ("POST", STACKS, doc(services=["x"]), 400, None),
    ("POST", f"{STACKS}/plan", doc(service("a", env=["X"])), 422, {"services": {"a"}}),
    ("PUT", SHOP, {}, 422, {"stack", "version", "services"}),
    ("PUT", SHOP, document(services=[]), 422, {"services"}),
    ("PUT", SHOP, document(service("db", env=["X"])), 422, {"services": {"db"}}),
    ("PUT", SHOP, document(service("db"), service("new", links=[link("none")])), 422, {"services"}),
    ("PUT", SHOP, document(service("web")), 422, {"services": {"db"}}),
    ("PUT", "/v1/stacks/g1/null", document(), 422, {"stack"}),
    ("POST", f"{SHOP}/plan", document(service("web")), 422, {"services": {"db"}}),
    ("DELETE", SHOP, None, 422, {"service"}),
    ("DELETE", "/v1/stacks/g1/null", None, 422, {"stack"}),
    ("POST", "/v1/stacks/g1/null/deploy", None, 422, {"stack"}),
]
VOLUME_ROWS: list[Row] = [
    ("POST", VOLUMES, {}, 422, {"name", "scope", "driver"}),
    ("POST", VOLUMES, {**VOLUME, "name": "data"}, 422, {"name"}),
    ("POST", VOLUMES, {**VOLUME, "name": "a:b"}, 422, {"name"}),
    ("POST", VOLUMES, {**VOLUME, "scope": "node"}, 422, {"scope": "Scope isn't an option"}),
    ("POST", VOLUMES, {**VOLUME, "driver": "a:b"}, 422, {"driver"}),
    ("POST", VOLUMES, {**VOLUME, "driver_opts": [1]}, 422, {"driver_opts"}),
    ("DELETE", f"{VOLUMES}/data", None, 422, {"data"}),
    ("GET", f"{VOLUMES}/none", None, 404, "Volume none not found"),
    ("DELETE", f"{VOLUMES}/none", None, 404, "Volume none not found"),
    ("GET", "/v1/volumes/none", None, 404, "Grid none not found"),
    ("PUT", f"{VOLUMES}/data", VOLUME, *GONE),
]
# Of services and stacks.
_UNDO = [
    ("GET", "/deploys"), ("POST", f"/deploys/{ID}/cancel"), ("GET", f"/deploys/{ID}/follow"),
    ("POST", "/deploy?follow=1"), ("GET", "/revisions"), ("POST", "/rollback"), ("POST", "/plan"),
]  # fmt: skip
_SERVICE_PATHS = [
    ("GET", ""), ("PUT", ""), ("DELETE", ""), ("POST", "/deploy"), ("POST", "/scale"), ("POST", "/start"),
    ("POST", "/stop"), ("POST", "/restart"), ("GET", "/instances"), ("GET", f"/instances/{ID}"),
    ("DELETE", f"/instances/{ID}"), ("GET", "/containers"), ("GET", f"/deploys/{ID}"), ("POST", "/envs"),
    ("DELETE", "/envs/A"), ("GET", "/container_logs"), ("GET", "/event_logs"), ("GET", "/stats"), ("GET", "/metrics"),
    *_UNDO, ("POST", "/rebalance"), ("POST", "/rebalance/plan"),
]  # fmt: skip
_STACK_PATHS = [
    ("GET", ""), ("DELETE", ""), ("POST", "/deploy"), ("POST", "/stop"), ("POST", "/restart"),
    ("GET", f"/deploys/{ID}"), ("GET", "/container_logs"), ("GET", "/event_logs"), *_UNDO,
]  # fmt: skip
_BODIES: dict[str, Any] = {"/scale": {"instances": 1}, "/envs": {"env": "A=1"}, "/rollback": {"revision": 1}}
_STACK_BODIES: dict[str, Any] = {"/rollback": {"revision": 1}, "/plan": document()}
UNKNOWN: list[Row] = [
    *(("GET", f"/v1/grids/none/{name}", None, *GONE) for name in ("services", "stacks", "container_logs")),
    *(("GET", f"/v1/grids/g2/{name}", None, *DENIED) for name in ("services", "stacks", "event_logs")),
    ("POST", "/v1/grids/g2/services", BODY, *DENIED),
    ("POST", "/v1/grids/g2/stacks", doc(), *DENIED),
    ("POST", "/v1/volumes/g2", VOLUME, *DENIED),
    ("GET", "/v1/containers/g2", None, *DENIED),
    ("GET", "/v1/containers/g1/none/x", None, *GONE),
    ("POST", "/v1/containers/g1/none/x/exec", {"cmd": ["ls"]}, *GONE),
    ("PUT", "/v1/stacks/g1/none", document(), *GONE),
    ("PATCH", WEB, {"image": "b"}, *GONE),
    ("PATCH", SHOP, document(), *GONE),
    ("POST", f"{SHOP}/deploys/{ID}/cancel", {}, *GONE),
    ("POST", f"{SHOP}/rollback", {"revision": 7}, 422, {"revision": "Revision 7 is not kept; kept are 1"}),
    ("POST", f"{SHOP}/rollback", {}, 422, {"revision": "Revision can't be nil: give the number of one that is kept"}),
    ("GET", "/v1/services/g1/web", None, *GONE),
    *((verb, f"/v1/services/g1/null/none{path}", _BODIES.get(path), *GONE) for verb, path in _SERVICE_PATHS),
    *((verb, f"/v1/services/g1/none/web{path}", _BODIES.get(path), *GONE) for verb, path in _SERVICE_PATHS),
    *((verb, f"/v1/services/g2/null/web{path}", _BODIES.get(path), *DENIED) for verb, path in _SERVICE_PATHS),
    *((verb, f"/v1/stacks/g1/none{path}", _STACK_BODIES.get(path), *GONE) for verb, path in _STACK_PATHS),
    *((verb, f"/v1/stacks/g2/shop{path}", _STACK_BODIES.get(path), *DENIED) for verb, path in _STACK_PATHS),
    *(("POST", f"/v1/grids/none/rebalance{path}", None, *GONE) for path in ("", "/plan")),
    *(("POST", f"/v1/grids/g2/rebalance{path}", None, *DENIED) for path in ("", "/plan")),
    ("POST", f"{WEB}/deploys/{ID}/cancel", {}, *GONE),
    ("GET", f"{WEB}/deploys/{ID}/follow", None, *GONE),
    ("GET", f"{SHOP}/deploys/{ID}/follow", None, *GONE),
    ("POST", f"{WEB}/rollback", {"revision": 7}, 422, {"revision": "Revision 7 is not kept; kept are 1"}),
]
QUERIES: list[Row] = [
    ("GET", f"{WEB}/container_logs?from=zz", None, 400, None),
    ("GET", f"{WEB}/event_logs?from=zz&follow=1", None, 400, None),
    ("GET", f"{WEB}/metrics?from=yesterday", None, 400, None),
]


async def furnish(edge: HttpWorld, http: Http) -> dict[str, list[Any]]:
    """A grid in which everything that can be in the way of something is; returns all rows."""
    await http.call("POST", VOLUMES, {**VOLUME, "name": "data"}, 201)
    await http.call("POST", SERVICES, {**BODY, "name": "db", "stateful": True, "volumes": ["/data"]}, 201)
    await http.call("POST", STACKS, document(service("web", links=[link("db")]), service("db")), 201)
    links = [link("null/db"), link("shop/db")]
    mounts = ["data:/data"]
    await http.call("POST", SERVICES, {**BODY, "name": "web", "links": links, "volumes": mounts, "env": ["A=1"]}, 201)

    async def delivered() -> bool:
        return (await everything(edge.engine.db))["outbox"] == []

    await eventually(delivered, message="the audit events of these requests have left")
    return await everything(edge.engine.db)


def agrees(error: Any, wanted: Any) -> bool:
    """Whether an error is the wanted one, or has the wanted attributes."""
    if isinstance(wanted, set):
        return isinstance(error, dict) and set(error) == wanted
    if isinstance(wanted, dict) and isinstance(error, dict):
        return set(error) == set(wanted) and all(agrees(error[name], value) for name, value in wanted.items())
    return wanted is None or error == wanted


async def check(edge: HttpWorld, http: Http, rows: list[Row]) -> None:
    before = await furnish(edge, http)
    bad = []
    for verb, path, body, status, wanted in rows:
        found, error = await http.refused(verb, path, body)
        after = await everything(edge.engine.db)
        changed = [name for name in before if before[name] != after[name]]
        if found != status or not agrees(error, wanted) or changed:
            bad.append((verb, path, body, found, error, changed))
            before = after
    assert bad == []


async def test_names_and_what_is_required(edge: HttpWorld, http: Http) -> None:
    await check(edge, http, NAMES)


async def test_attributes_of_services(edge: HttpWorld, http: Http) -> None:
    await check(edge, http, ATTRIBUTES)


async def test_changes_of_services(edge: HttpWorld, http: Http) -> None:
    await check(edge, http, CHANGES)


async def test_stacks(edge: HttpWorld, http: Http) -> None:
    await check(edge, http, STACK_ROWS)


async def test_volumes(edge: HttpWorld, http: Http) -> None:
    await check(edge, http, VOLUME_ROWS)


async def test_unknown_and_forbidden(edge: HttpWorld, http: Http) -> None:
    await check(edge, http, UNKNOWN)


async def test_queries(edge: HttpWorld, http: Http) -> None:
    await check(edge, http, QUERIES)
