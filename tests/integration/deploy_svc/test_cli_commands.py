"""Every command of the public command line that concerns deploy_svc, as it was seen on the wire
(docs/spec/client_contract.md section 8): its requests through the gateway, and the fields that it cannot do without."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import pytest

from services.deploy_svc.store import services
from tests.integration.deploy_svc.agents import log_line, log_pusher
from tests.integration.deploy_svc.container_agents import EventPusher, container
from tests.integration.deploy_svc.engine_fixtures import Agent
from tests.integration.deploy_svc.http_world import Http, HttpWorld
from tests.integration.deploy_svc.stack_documents import REDIS, SIMPLE
from tests.integration.deploy_svc.stand_ins import GRID, NODE_1

SERVICE = "/v1/services/g1/null/web"
STACK = "/v1/stacks/g1/simple"
BOX = "/v1/containers/g1/node-1/web-1"
Fact = Callable[[Any], bool]


@dataclass(frozen=True)
class Request:
    """`needs` are paths of fields: `stacks[].name` in every element of a list that has some. `keep` remembers the id of
    the answer, or of its first instance, for `$id` in later paths. `until` repeats a GET, as the command does."""

    verb: str
    path: str
    body: Any = None
    needs: tuple[str, ...] = ()
    status: int = 200
    keep: bool = False
    until: Fact | None = None


def get(path: str, *needs: str, status: int = 200, until: Fact | None = None) -> Request:
    return Request("GET", path, None, needs, status, until=until)


def post(path: str, body: Any, *needs: str, status: int = 200, keep: bool = False) -> Request:
    return Request("POST", path, body, needs, status, keep)


def put(path: str, body: Any, *needs: str) -> Request:
    return Request("PUT", path, body, needs)


def delete(path: str) -> Request:
    return Request("DELETE", path)


def over(deploy: Any) -> bool:
    return deploy.get("finished_at") is not None


def settled(deploy: Any) -> bool:
    return deploy["state"] in {"success", "error"}


ALL_OPTIONS: dict[str, Any] = {
    "name": "full", "image": "redis:3.0", "stateful": False,
    "ports": [{"ip": "0.0.0.0", "protocol": "tcp", "node_port": "80", "container_port": "8080"}],  # noqa: S104
    "links": [{"name": "other", "alias": "o"}], "volumes": ["/data"], "volumes_from": ["x"], "memory": 67108864,
    "memory_swap": 134217728, "shm_size": 67108864, "cpus": 1.5, "cpu_shares": "10", "affinity": ["label!=x"],
    "env": ["A=1"], "secrets": [{"secret": "S", "name": "S", "type": "env"}], "container_count": "2",
    "cmd": ["redis-server", "--port", "1"], "user": "root", "privileged": True, "cap_add": ["NET_ADMIN"],
    "cap_drop": ["CHOWN"], "net": "bridge", "log_driver": "json-file", "log_opts": {"max-size": "1m"},
    "strategy": "ha", "deploy_opts": {"min_health": 0.5, "wait_for_port": 80, "interval": 3600},
    "health_check": {"port": "80", "protocol": "http", "uri": "/", "timeout": "3", "interval": "30",
                     "initial_delay": "5"},
    "pid": "host", "stop_signal": "SIGTERM", "stop_grace_period": "1m23s", "read_only": True,
}  # fmt: skip
LISTED = (
    "services[].name", "services[].instances", "services[].ports", "services[].instance_counts.running",
    "services[].updated_at",
)  # fmt: skip
SHOWN = ("stack", "log_opts", "deploy_opts")
DEPLOY = ("id", "service_id")
V2 = {**SIMPLE, "version": "0.2.0", "services": [{**REDIS, "image": "redis:4-alpine", "env": None, "ports": []}]}
STACK_DEPLOY = [
    post(f"{STACK}/deploy", {}, "id", "stack_id", keep=True),
    get(f"{STACK}/deploys/$id", "state", "service_deploys[].service_id", until=settled),
]
EXEC = {"cmd": ["/usr/local/bin/ovpn_getclient", "KONTENA_VPN_CLIENT"]}

STACK_COMMANDS: dict[str, list[Request]] = {
    "stack install": [post("/v1/grids/g1/stacks", SIMPLE, status=201), *STACK_DEPLOY],
    "stack ls": [get("/v1/grids/g1/stacks", "stacks[].name", "stacks[].services[].ports", "stacks[].children")],
    "stack show simple": [
        get(STACK, "services[].id"),
        get("/v1/services/g1/simple/redis", "deploy_opts"),
    ],
    "stack inspect simple": [get(STACK)],
    "stack deploy simple": STACK_DEPLOY,
    "stack upgrade simple": [get(STACK, "services"), put(STACK, V2), *STACK_DEPLOY],
    "stack stop simple": [post(f"{STACK}/stop", {})],
    "stack restart simple": [post(f"{STACK}/restart", {})],
    "stack logs simple": [get(f"{STACK}/container_logs?limit=100", "logs")],
    "stack logs simple redis": [get("/v1/grids/g1/container_logs?limit=100&services=simple%2Fredis", "logs")],
    "stack events simple": [get(f"{STACK}/event_logs?limit=100", "logs[].relationships[].id")],
    "stack rm --force simple": [get(STACK), delete(STACK), get(STACK, status=404)],
    "vpn remove, registry remove": [get("/v1/stacks/g1/vpn", status=404)],
}

SERVICE_COMMANDS: dict[str, list[Request]] = {
    "service create web redis": [
        post(
            "/v1/grids/g1/services",
            {
                "name": "web", "image": "redis:latest", "stateful": False, "secrets": [], "privileged": False,
                "log_opts": {}, "read_only": False,
            },
            status=201,
        )
    ],
    "service create other": [
        post("/v1/grids/g1/services", {"name": name, "image": "redis:latest", "stateful": False}, status=201)
        for name in ("other", "foo")
    ],
    "service create full (all options)": [post("/v1/grids/g1/services", ALL_OPTIONS, status=201)],
    "service deploy web": [
        post(f"{SERVICE}/deploy", {}, *DEPLOY, keep=True),
        get(f"{SERVICE}/deploys/$id", "finished_at", "instance_deploys", until=over),
    ],
    "service deploy --force --no-wait web": [
        post(f"{SERVICE}/deploy", {"force": True}, keep=True), get(f"{SERVICE}/deploys/$id", until=over)
    ],
    "service ls": [get("/v1/grids/g1/services", *LISTED)],
    "service ls --stack null": [get("/v1/grids/g1/services?stack=null", *LISTED)],
    "service show web": [
        get(SERVICE, *SHOWN),
        get(f"{SERVICE}/instances", "instances"),
        get(f"{SERVICE}/containers", "containers[].state.exit_code", "containers[].state.error"),
    ],
    "service update --image redis:4 --stop-timeout 1m23s web": [
        put(SERVICE, {"image": "redis:4", "privileged": False, "stop_grace_period": "1m23s"})
    ],
    "service scale web 3": [
        post(f"{SERVICE}/scale", {"instances": "3"}, *DEPLOY, keep=True),
        get(f"{SERVICE}/deploys/$id", "finished_at", "instance_deploys[].instance_number", "instance_deploys[].state",
            until=over),
    ],
    "service start web": [post(f"{SERVICE}/start", {})],
    "service stop web": [post(f"{SERVICE}/stop", {})],
    "service restart web": [post(f"{SERVICE}/restart", {})],
    "service logs web": [get(f"{SERVICE}/container_logs?limit=100", "logs[].name")],
    "service logs -i 1 --lines 5 web": [get(f"{SERVICE}/container_logs?instance=1&limit=5", "logs[].name")],
    "service events web": [
        get(f"{SERVICE}/event_logs?limit=100", "logs[].type", "logs[].relationships[].id")
    ],
    "service containers web": [get(f"{SERVICE}/containers", "containers[].node.name")],
    "service exec web (what it asks first)": [
        get(f"{SERVICE}/containers", "containers[].id", "containers[].name", "containers[].instance_number",
            "containers[].status")
    ],
    "service stats web": [get(f"{SERVICE}/stats", "stats[].container_id")],
    "service env ls web": [get(SERVICE, "env")],
    "service env add web A=3": [post(f"{SERVICE}/envs", {"env": "A=3"}), get(SERVICE, "env[]")],
    "service env rm web A": [delete(f"{SERVICE}/envs/A")],
    "service link web foo": [
        put(SERVICE, {"links": [{"name": "null/other", "alias": "other"}]}),
        get(SERVICE, "links[].id"),
        put(SERVICE, {"links": [{"name": "null/other", "alias": "other"}, {"name": "null/foo", "alias": "foo"}]}),
    ],
    "service unlink web foo (links as they were answered)": [
        put(SERVICE, {"links": [{"id": "g1/null/other", "alias": "other", "name": "other"}]}),
        get(SERVICE, "links[].id", until=lambda found: [one["id"] for one in found["links"]] == ["g1/null/other"]),
        put(SERVICE, {"links": []}),
    ],
    "service secret link web S2:N2:env": [
        put(SERVICE, {"secrets": [{"secret": "S", "name": "S", "type": "env"},
                                  {"secret": "S2", "name": "N2", "type": "env"}]}),
        get(SERVICE, "secrets[].secret", "secrets[].name", "secrets[].type"),
    ],
    "service secret unlink web S:S:env": [put(SERVICE, {"secrets": []}), get(SERVICE, "secrets")],
    "vpn config": [
        get(f"{SERVICE}/containers", "containers[].id"), post("/v1/containers/g1/node-1/web-1/exec", EXEC)
    ],
    "service rm --force --instance 1 web": [
        Request("GET", f"{SERVICE}/instances", None, ("instances[].id", "instances[].instance_number"), keep=True),
        delete(f"{SERVICE}/instances/$id"),
    ],
    "service rm --force web": [delete(SERVICE), get(SERVICE, status=404)],
}  # fmt: skip

CONTAINER_COMMANDS: dict[str, list[Request]] = {
    "container ls": [
        get("/v1/containers/g1", "containers[].node.name", "containers[].name", "containers[].created_at",
            "containers[].state.running")
    ],
    "container ls -a": [get("/v1/containers/g1?all=1", "containers[].node", "containers[].created_at")],
    "container logs node-1/web-1": [get(f"{BOX}/logs?limit=100", "logs[].data")],
    "container inspect node-1/web-1": [get(f"{BOX}/inspect")],
    "container exec missing (its answer before the upgrade)": [get("/v1/containers/g1/missing/exec", status=404)],
    "grid logs": [
        get("/v1/grids/g1/container_logs?limit=10&nodes=node-1&services=web&since=2026-01-01T00%3A00%3A00Z",
            "logs[].name", "logs[].id")
    ],
    "grid events": [get("/v1/grids/g1/event_logs?limit=100", "logs[].severity", "logs[].relationships[].id")],
}  # fmt: skip

VOLUME_COMMANDS: dict[str, list[Request]] = {
    "volume create --driver local --driver-opt a=b --scope grid vol": [
        post("/v1/volumes/g1", {"name": "vol", "scope": "grid", "driver": "local", "driver_opts": {"a": "b"}},
             status=201)
    ],
    "volume ls": [get("/v1/volumes/g1", "volumes[].name")],
    "volume show vol": [get("/v1/volumes/g1/vol", "driver_opts.a", "instances", "services")],
    "volume rm --force vol": [delete("/v1/volumes/g1/vol"), get("/v1/volumes/g1/vol", status=404)],
}  # fmt: skip


def has(document: Any, field: str) -> bool:
    """Whether the field is there and not null."""
    name, _, rest = field.partition(".")
    found = document.get(name.removesuffix("[]"))
    if name.endswith("[]"):
        return bool(found) and all(not rest or has(item, rest) for item in found)
    return found is not None and (not rest or has(found, rest))


async def walk(http: Http, commands: dict[str, list[Request]]) -> None:
    for command, requests in commands.items():
        kept = ""
        for asked in requests:
            path = asked.path.replace("$id", kept)
            try:
                if asked.until:
                    document = await http.until(path, asked.until)
                elif asked.status == 404:
                    document = await http.gone(path)
                else:
                    document = await http.call(asked.verb, path, asked.body, asked.status)
            except AssertionError as error:
                raise AssertionError(f"{command}: {error}") from error
            missing = [field for field in asked.needs if not has(document, field)]
            assert missing == [], f"{command}: {asked.verb} {path} has no {missing}: {document}"
            if asked.keep:
                kept = (document["instances"][0] if "instances" in document else document)["id"]


@pytest.fixture
async def node(edge: HttpWorld) -> AsyncIterator[Agent]:
    edge.engine.around.vault.values = {(GRID, "S"): "1", (GRID, "S2"): "2"}
    async with edge.node() as agent:
        yield agent


async def said(edge: HttpWorld, path: str) -> None:
    """Containers, a log line and an event of a service, as its node tells them."""
    stack, _, name = path.partition("/")
    session = edge.engine.around.grids.nodes.records[NODE_1].session
    await edge.report(f"{name}-1", path=path)
    async with edge.engine.db.read() as tx:
        found = await services.find(tx, GRID, stack, name)
    assert found is not None
    async with log_pusher(edge.served.channel, session=session) as pusher:
        await pusher.push([log_line("hello", service_id=found.id, container_id=container(f"{name}-1").container_id)])
    events = EventPusher(edge.served.channel, process=name, session=session)
    await events.push(events.event(found.id, "created"))


@pytest.mark.usefixtures("node")
async def test_stack_commands(http: Http) -> None:
    await walk(http, STACK_COMMANDS)


@pytest.mark.usefixtures("node")
async def test_service_commands(edge: HttpWorld, http: Http) -> None:
    commands = list(SERVICE_COMMANDS.items())
    created = [index for index, (name, _) in enumerate(commands) if name.startswith("service create")]
    await walk(http, dict(commands[: len(created)]))
    await said(edge, "null/web")
    await walk(http, dict(commands[len(created) :]))


@pytest.mark.usefixtures("node")
async def test_container_and_grid_commands(edge: HttpWorld, http: Http) -> None:
    await walk(http, {name: SERVICE_COMMANDS[name] for name in ("service create web redis",)})
    await said(edge, "null/web")
    await walk(http, CONTAINER_COMMANDS)


@pytest.mark.usefixtures("node")
async def test_volume_commands(http: Http) -> None:
    await walk(http, VOLUME_COMMANDS)


@pytest.mark.usefixtures("node")
async def test_every_option_of_service_create_is_stored(http: Http) -> None:
    await walk(http, {name: SERVICE_COMMANDS[name] for name in ("service create web redis", "service create other")})
    await walk(http, {"all": SERVICE_COMMANDS["service create full (all options)"]})
    shown = await http.call("GET", "/v1/services/g1/null/full")
    numbers = {
        "instances": 2, "cpu_shares": 10, "stop_grace_period": 83,
        "ports": [{"ip": "0.0.0.0", "protocol": "tcp", "node_port": 80, "container_port": 8080}],  # noqa: S104
        "health_check": {"protocol": "http", "uri": "/", "port": 80, "timeout": 3, "initial_delay": 5, "interval": 30,
                         "cmd": []},
        "links": [{"id": "g1/null/other", "alias": "o", "name": "other"}],
    }  # fmt: skip
    unseen = ("privileged", "container_count")
    wanted = {name: value for name, value in {**ALL_OPTIONS, **numbers}.items() if name not in unseen}
    assert {name: shown[name] for name in wanted} == wanted
    # What was answered can be sent back, and changes nothing.
    assert (await http.call("PUT", "/v1/services/g1/null/full", shown))["revision"] == 1
