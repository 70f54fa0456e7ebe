"""What the engine refuses leaves the container of before running; a swap that was cut short is settled."""

import asyncio
from typing import Any

import pytest
from google.protobuf import json_format

from kontena.deploy.v1 import assignment_pb2 as pb
from tests.integration.agent.agent_node import SLEEP, assignment, hook, redeployed
from tests.integration.agent.agent_process import AgentProcess
from tests.integration.agent.conftest import IMAGE
from tests.integration.agent.stand_in_master import NODE_ID, Master
from tests.support.engine import Engine
from tests.support.eventually import eventually
from tests.support.ports import free_port

pytestmark = [pytest.mark.docker, pytest.mark.slow]

# What a pod asks for, and a word of the answer. These are refused before anything is touched.
AT_CREATE: list[tuple[dict[str, Any], str]] = [
    # The engine looks for a plugin of this name for a quarter of a minute.
    ({"log_driver": "nosuch"}, "nosuch"),
    ({"log_driver": "json-file", "log_opts": {"nosuch": "1"}}, "nosuch"),
    ({"cap_add": ["NOSUCH"]}, "NOSUCH"),
    ({"cap_drop": ["NOSUCH"]}, "NOSUCH"),
    ({"volumes": [{"bind_mount": "/usr", "path": "/x", "flags": "nosuch"}]}, "invalid mode"),
    ({"volumes": [{"bind_mount": "/usr", "path": "/x"}, {"bind_mount": "/var", "path": "/x"}]}, "/x"),
    ({"volumes": [{"bind_mount": "/usr", "path": "/"}]}, "destination can't be '/'"),
    ({"volumes_from": ["nosuch"]}, "nosuch"),
    ({"memory": 1e6}, "memory"),
    ({"memory": 64e6, "memory_swap": 32e6}, "memoryswap"),
    ({"memory_swap": 32e6}, "Memory"),
    ({"cpus": 0.001}, "CPU"),
    ({"shm_size": -1}, "SHM"),
    ({"stop_signal": "SIGNOSUCH"}, "SIGNOSUCH"),
    ({"env": ["=x"]}, "invalid environment variable"),
    ({"pid": "container:nosuch"}, "nosuch"),
]
# Only a start can tell these.
AT_START: list[tuple[dict[str, Any], str]] = [
    ({"user": "nosuch"}, "unable to find user nosuch"),
    ({"user": "root:nosuch"}, "unable to find group nosuch"),
    ({"cmd": ["nosuch"]}, "nosuch"),
    ({"entrypoint": ["/etc/passwd"]}, "permission denied"),
    ({"devices": ["/dev/nosuch"]}, "/dev/nosuch"),
    ({"devices": ["/etc/passwd"]}, "not a device"),
    ({"cpu_shares": -5}, "shares"),
    ({"log_driver": "json-file", "log_opts": {"max-size": "much"}}, "much"),
    ({"log_driver": "fluentd", "log_opts": {"fluentd-address": "127.0.0.1:1"}}, "logging driver"),
    ({"net": "nosuch"}, "nosuch"),
    ({"net": "container:nosuch"}, "nosuch"),
    ({"volumes": [{"bind_mount": "/etc/passwd/x", "path": "/x"}]}, "/etc/passwd/x"),
    ({"ports": [{"ip": "192.0.2.1", "node_port": 8123, "container_port": 80}]}, "192.0.2.1"),
]


def changed(old: pb.Assignment, pod: dict[str, Any]) -> pb.Assignment:
    """The next rollout, with these members of the pod."""
    new = redeployed(old, service_revision=old.service_revision + 1)
    given = json_format.MessageToDict(new.pod, preserving_proto_field_name=True)
    new.pod.CopyFrom(json_format.ParseDict({**given, **pod}, pb.Pod()))
    return new


def names(engine: Engine) -> list[str]:
    return sorted(name for item in engine.containers() for name in item["Names"])


async def refused(master: Master, old: pb.Assignment, pod: dict[str, Any], words: str) -> pb.InstanceStatus:
    """What the node says of a rollout that cannot be; the next one starts from `old` again."""
    wanted = changed(old, pod)
    # Later than all before, although each is made from the first one.
    wanted.deploy_rev = f"{old.deploy_rev}{len(master.history):06d}"
    wanted.service_revision += len(master.history)
    master.assign(wanted)
    status = await master.status(wanted, lambda status: bool(status.error))
    assert words in status.error, (pod, status.error)
    return status


def good(old: pb.Assignment) -> pb.Assignment:
    """A rollout after all that were refused."""
    new = changed(old, {"env": ["GOOD=1"]})
    new.deploy_rev += "~"
    new.service_revision = 10_000
    return new


def both() -> tuple[pb.Assignment, pb.Assignment]:
    """A stateless instance and a stateful one, to see what becomes of either."""
    return assignment(), assignment(service="db", pod={"stateful": True, "volumes": [{"path": "/data"}]})


# Each case on one of the two, or on both.
SHARES = [2, pytest.param(1, marks=pytest.mark.heavy)]


@pytest.mark.usefixtures("node")
@pytest.mark.parametrize("share", SHARES)
async def test_what_the_engine_does_not_create_is_known_before_the_container_is_touched(
    master: Master, engine: Engine, share: int
) -> None:
    wanted = both()
    master.assign(*wanted)
    before = [await master.running(item) for item in wanted]

    async def untouched(first: int) -> None:
        for pod, words in AT_CREATE[first % share :: share]:
            status = await refused(master, wanted[first], pod, words)
            assert (status.state, status.container_id) == ("running", before[first].container_id), pod
            assert status.started_at == before[first].started_at, pod

    await asyncio.gather(untouched(0), untouched(1))
    assert names(engine) == ["/db-1", "/web-1"]
    for item, old in zip(wanted, before, strict=True):
        master.assign(good(item))
        assert (await master.running(good(item))).container_id != old.container_id
    assert names(engine) == ["/db-1", "/web-1"]


@pytest.mark.usefixtures("node")
@pytest.mark.parametrize("share", SHARES)
async def test_what_only_a_start_can_tell_brings_the_container_of_before_back(
    master: Master, engine: Engine, share: int
) -> None:
    wanted = both()
    master.assign(*wanted)
    before = [await master.running(item) for item in wanted]

    async def comes_back(first: int) -> None:
        own = f"/{wanted[first].pod.container_name}"
        for pod, words in AT_START[first % share :: share]:
            status = await refused(master, wanted[first], pod, words)
            assert "the container of before runs again" in status.error, pod
            assert (status.state, status.container_id) == ("running", before[first].container_id), pod
            assert [name for name in names(engine) if name.startswith(own)] == [own], pod

    await asyncio.gather(comes_back(0), comes_back(1))
    # It is not tried again before somebody deploys again: each time would take down what runs.
    started = engine.inspect("web-1")["State"]["StartedAt"]
    engine.request("POST", "/containers/web-1/kill")

    async def again() -> bool:
        state = engine.inspect("web-1")["State"]
        return bool(state["Running"]) and state["StartedAt"] != started

    await eventually(again, message="a crashed one starts again")
    assert engine.inspect("web-1")["Id"] == before[0].container_id
    for item, old in zip(wanted, before, strict=True):
        master.assign(good(item))
        assert (await master.running(good(item))).container_id != old.container_id


@pytest.mark.usefixtures("node")
async def test_a_failing_pre_start_hook_brings_the_container_of_before_back(master: Master, engine: Engine) -> None:
    wanted = assignment()
    master.assign(wanted)
    before = await master.running(wanted)
    newer = redeployed(wanted, service_revision=2)
    newer.pod.hooks.append(hook("pre_start", "prepare", "exit 3"))
    master.assign(newer)
    status = await master.status(newer, lambda status: bool(status.error))
    assert "exit code 3; the container of before runs again" in status.error
    assert (status.state, status.container_id) == ("running", before.container_id)
    assert names(engine) == ["/web-1"]


@pytest.mark.usefixtures("node")
async def test_the_successor_gets_the_node_port_of_the_container_of_before(master: Master, engine: Engine) -> None:
    port = {"ip": "127.0.0.1", "node_port": free_port(), "container_port": 80}
    wanted = assignment(pod={"ports": [port]})
    master.assign(wanted)
    before = await master.running(wanted)
    newer = redeployed(wanted, service_revision=2)
    master.assign(newer)
    after = await master.running(newer)
    assert after.container_id != before.container_id
    # A port that it cannot have gives the old one back with its port.
    taken = changed(newer, {"ports": [{**port, "ip": "192.0.2.1"}]})
    master.assign(taken)
    status = await master.status(taken, lambda status: bool(status.error))
    assert (status.state, status.container_id) == ("running", after.container_id)
    assert engine.inspect("web-1")["NetworkSettings"]["Ports"]["80/tcp"][0]["HostPort"] == str(port["node_port"])


def put(engine: Engine, wanted: pb.Assignment, suffix: str, revision: int, life: str) -> None:
    """A container of an instance as an agent makes it."""
    name = wanted.pod.container_name
    labels = {
        "io.kontena.service.id": wanted.service_id,
        "io.kontena.service.instance_number": str(wanted.instance_number),
        "io.kontena.instance.id": wanted.instance_id,
        "io.kontena.node.id": NODE_ID,
        "io.kontena.container.type": "container",
        "io.kontena.container.name": name,
        "io.kontena.container.service_revision": str(revision),
        "io.kontena.container.stop_grace_period": "1",
    }
    cmd = SLEEP if revision == 1 else list(wanted.pod.cmd)
    body = {"Image": IMAGE, "Cmd": cmd, "Labels": labels}
    engine.request("POST", f"/containers/create?name={name}{suffix}", body)
    if life != "made":
        engine.request("POST", f"/containers/{name}{suffix}/start")
    if life == "stopped":
        engine.request("POST", f"/containers/{name}{suffix}/stop?t=0")


# What an agent that was killed between two steps leaves: name, revision, life. The assignment wants revision 2.
CUT_SHORT = [
    [("", 1, "running"), (".next", 2, "made")],
    [("", 1, "stopped"), (".next", 2, "made")],
    [(".former", 1, "stopped"), (".next", 2, "made")],
    [(".former", 1, "stopped"), ("", 2, "made")],
    [(".former", 1, "stopped")],
    [(".former", 1, "stopped"), ("", 2, "running")],
    [(".former", 1, "stopped"), ("", 2, "stopped")],
]
UNSTARTED = 5


def cut_short(master: Master, engine: Engine, pod: dict[str, Any], steps: int) -> list[pb.Assignment]:
    """An instance in each of these situations, assigned."""
    wanted = [assignment(number, service_revision=2, pod=pod) for number in range(1, steps + 1)]
    for item, left in zip(wanted, CUT_SHORT, strict=False):
        for suffix, revision, life in left:
            put(engine, item, suffix, revision, life)
    master.assigned = {item.instance_id: item for item in wanted}
    return wanted


async def test_a_swap_that_was_cut_short_ends_with_the_successor(
    master: Master, engine: Engine, agent_process: AgentProcess
) -> None:
    wanted = cut_short(master, engine, {}, len(CUT_SHORT))
    agent_process.start()
    for item in wanted:
        status = await master.running(item)
        shown = engine.inspect(status.container_id)
        assert shown["Name"] == f"/web-{item.instance_number}"
        assert shown["Config"]["Labels"]["io.kontena.container.service_revision"] == "2"

    async def alone() -> bool:
        return names(engine) == [f"/web-{item.instance_number}" for item in wanted]

    await eventually(alone)


async def test_a_swap_that_was_cut_short_and_cannot_go_on_ends_with_the_container_of_before(
    master: Master, engine: Engine, agent_process: AgentProcess
) -> None:
    wanted = cut_short(master, engine, {"cmd": ["nosuch"]}, UNSTARTED)
    agent_process.start()
    for item in wanted:
        status = await master.status(item, lambda status: bool(status.error))
        assert "nosuch" in status.error
        shown = engine.inspect(f"web-{item.instance_number}")
        assert (status.state, status.container_id) == ("running", shown["Id"])
        assert shown["Config"]["Labels"]["io.kontena.container.service_revision"] == "1"
    assert names(engine) == [f"/web-{item.instance_number}" for item in wanted]


async def test_without_the_secrets_for_its_successor_a_stopped_container_runs_again(
    master: Master, engine: Engine, agent_process: AgentProcess
) -> None:
    wanted = assignment(secrets=[pb.PodSecret(name="PASSWORD", type="env", value="open-sesame")])
    master.assigned[wanted.instance_id] = wanted
    agent_process.start()
    before = await master.running(wanted)
    wanted.service_revision = 2
    wanted.deploy_rev += "+"
    agent_process.kill()
    # As if it had been killed while it replaced the container, and the master had gone with it.
    engine.request("POST", "/containers/web-1/stop?t=0")
    await master.stop()
    agent_process.assign_last(wanted)
    agent_process.start()

    async def runs() -> bool:
        return bool(engine.inspect("web-1")["State"]["Running"])

    await eventually(runs)
    assert engine.inspect("web-1")["Id"] == before.container_id
