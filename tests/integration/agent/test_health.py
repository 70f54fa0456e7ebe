"""Health checks on a real engine: MH-62, MH-64."""

import re
from pathlib import Path

import pytest

from tests.integration.agent.agent_node import SLEEP, assignment
from tests.integration.agent.agent_process import running_agent, settings
from tests.integration.agent.container_master import ContainerMaster
from tests.integration.agent.stand_in_master import Master
from tests.support.engine import Engine
from tests.support.eventually import eventually

pytestmark = pytest.mark.docker


def check(protocol: str, **changed: object) -> dict[str, object]:
    # One that is slow to answer on a busy machine is not ill, and a test that wants illness does not wait for that.
    return {"protocol": protocol, "port": 8080, "interval": 1, "timeout": 60, "initial_delay": 1, **changed}


@pytest.mark.usefixtures("node")
@pytest.mark.parametrize("protocol", ["http", "tcp"])
async def test_a_healthy_instance_is_reported_so_and_left_alone(master: Master, engine: Engine, protocol: str) -> None:
    script = "echo ok > /www/index.html; exec httpd -f -p 8080 -h /www"
    wanted = assignment(pod={"cmd": ["sh", "-c", script], "health_check": check(protocol), "wait_for_port": 8080})
    master.assign(wanted)
    first = await master.running(wanted)
    healthy = await master.status(wanted, lambda status: status.health == "healthy")
    assert (healthy.container_id, healthy.started_at) == (first.container_id, first.started_at)
    reports, beats = len(master.sequences), master.heartbeats

    async def checked_twice_more() -> bool:
        return master.heartbeats > beats + 12

    await eventually(checked_twice_more)
    assert len(master.sequences) == reports, "a check that changes nothing is not reported"
    labels = engine.inspect("web-1")["Config"]["Labels"]
    assert labels["io.kontena.health_check.protocol"] == protocol


@pytest.mark.usefixtures("node")
async def test_an_unhealthy_instance_is_restarted_once_and_recovers(master: Master, engine: Engine) -> None:
    # Its first start answers 404, its second one 200.
    script = "[ -e /was ] && echo ok > /www/up; touch /was; exec httpd -f -p 8080 -h /www"
    pod = {"cmd": ["sh", "-c", script], "health_check": check("http", uri="/up"), "wait_for_port": 8080}
    wanted = assignment(pod=pod)
    master.assign(wanted)
    first = await master.running(wanted)
    healthy = await master.status(wanted, lambda status: status.health == "healthy")
    assert healthy.container_id == first.container_id, "restarted in place"
    starts = {item.started_at.ToNanoseconds() for item in master.history if item.started_at.seconds}
    assert len(starts) == 2, "one failed check makes one restart"
    assert "unhealthy" in {item.health for item in master.history}
    assert {item.error for item in master.history} == {""}


@pytest.mark.usefixtures("node")
async def test_a_closed_port_is_unhealthy(master: Master, engine: Engine) -> None:
    wanted = assignment(pod={"cmd": SLEEP, "health_check": check("tcp", initial_delay=0)})
    master.assign(wanted)
    first = await master.running(wanted)
    await master.status(wanted, lambda status: status.started_at.ToNanoseconds() > first.started_at.ToNanoseconds())


@pytest.mark.usefixtures("node")
async def test_a_command_in_the_container_says_whether_it_is_healthy(master: Master, engine: Engine) -> None:
    """Its first start has no file, its second one has."""
    command = {"protocol": "exec", "cmd": ["sh", "-c", "test -e '/was here' || { echo 'no file'; exit 3; }"]}
    script = "[ -e /was ] && touch '/was here'; touch /was; exec sleep 1000"
    timing = {"interval": 1, "timeout": 60, "initial_delay": 0}
    wanted = assignment(pod={"cmd": ["sh", "-c", script], "health_check": {**command, **timing}})
    master.assign(wanted)
    first = await master.running(wanted)
    healthy = await master.status(wanted, lambda status: status.health == "healthy")
    assert healthy.container_id == first.container_id, "restarted in place"
    assert "unhealthy" in {item.health for item in master.history}


async def test_a_slow_start_is_no_ill_health(master: Master, engine: Engine, tmp_path: Path) -> None:
    """It opens its port after 3 s, and would have been found ill after one."""
    wanted = assignment(
        pod={
            "cmd": ["sh", "-c", "sleep 3; echo ok > /www/index.html; exec httpd -f -p 8080 -h /www"],
            "health_check": check("http"),
            "wait_for_port": 8080,
        }
    )
    chosen = settings(master.uri, tmp_path, runtime="docker", docker_host=engine.host)
    async with running_agent(chosen):
        master.assign(wanted)
        first = await master.running(wanted)
        healthy = await master.status(wanted, lambda status: status.health == "healthy")
    assert healthy.started_at == first.started_at
    assert {item.health for item in master.history} == {"", "healthy"}


@pytest.mark.usefixtures("chiefs_node")
async def test_pauses_grow_and_the_event_says_what_the_connection_said(chief: ContainerMaster, engine: Engine) -> None:
    wanted = assignment(pod={"cmd": SLEEP, "health_check": check("tcp", initial_delay=0)})
    chief.assign(wanted)

    async def told() -> bool:
        found = [event.message for event in chief.events if event.type == "service:health_check"]
        for message, pause in zip(found[:3], (0, 1, 4), strict=True):
            # A new container may be there before its address is known to the network.
            said = "connection refused|no route to host"
            assert re.fullmatch(f"unhealthy: port 8080: ({said}); it is restarted in {pause} s", message)
        return True

    await eventually(told)
