"""Events of instances on a real engine: MH-58, MH-60, MH-61."""

import time
from typing import Any

import pytest

from kontena.deploy.v1 import assignment_pb2 as pb
from tests.integration.agent.agent_node import assignment, gone, hook, redeployed
from tests.integration.agent.conftest import IMAGE
from tests.integration.agent.container_master import ContainerMaster
from tests.support.engine import Engine
from tests.support.eventually import eventually

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("chiefs_node")]

INFO, WARN, ERROR = 1, 2, 3


async def told(chief: ContainerMaster, severity: int, kind: str, text: str) -> Any:
    async def found() -> Any:
        events = [(event.severity, event.type, event.message) for event in chief.events]
        assert any(event[:2] == (severity, kind) and text in event[2] for event in events), events
        return True

    await eventually(found)


async def test_the_life_of_an_instance_is_told_without_its_secrets(chief: ContainerMaster, engine: Engine) -> None:
    secret = pb.PodSecret(name="PASSWORD", type="env", value="top-secret-value")
    wanted = assignment(secrets=[secret])
    chief.assign(wanted)
    await chief.running(wanted)
    await told(chief, WARN, "service:create_instance", f"image {IMAGE} was not pulled, the copy on this node is used")
    await told(chief, INFO, "service:create_instance", "container web-1 was created and started")
    stopped = redeployed(wanted, desired_state="stopped")
    chief.assign(stopped)
    await told(chief, INFO, "service:stop_instance", "container web-1 was stopped")
    started = redeployed(stopped, desired_state="running")
    chief.assign(started)
    await told(chief, INFO, "service:start_instance", "container web-1 was started")
    restarted = redeployed(started, restarts=1)
    chief.assign(restarted)
    await told(chief, INFO, "service:restart_instance", "container web-1 was restarted")
    broken = redeployed(restarted, service_revision=2)
    broken.pod.image = "127.0.0.1:1/nowhere:1"
    chief.assign(broken)
    await told(chief, ERROR, "service:start_instance", "image 127.0.0.1:1/nowhere:1 cannot be pulled")
    chief.withdraw(wanted.instance_id)
    await told(chief, INFO, "service:remove_instance", "container web-1 was removed")
    assert [event.id for event in chief.events] == sorted({event.id for event in chief.events})
    assert "top-secret-value" not in str(chief.events)


async def test_events_come_in_the_order_of_what_they_tell(chief: ContainerMaster) -> None:
    """Also when the image is looked at before it is known whether the container is replaced at all."""
    wanted = assignment()
    for revision in (1, 2):
        chief.events.clear()
        wanted = redeployed(wanted, service_revision=revision)
        chief.assign(wanted)
        await told(chief, INFO, "service:create_instance", "container web-1 was created and started")
        steps = [event.message.partition(IMAGE)[0] for event in chief.events]
        removed = ["removed the old container web-1"] if revision > 1 else []
        assert steps == ["getting image ", "image ", *removed, "container web-1 was created and started"]


async def test_a_failing_post_start_hook_is_an_event_and_no_error_of_the_instance(chief: ContainerMaster) -> None:
    wanted = assignment(pod={"hooks": [hook("post_start", "fail", "exit 4")]})
    chief.assign(wanted)
    assert (await chief.running(wanted)).error == ""
    await told(chief, ERROR, "service:create_instance", "post_start hook fail failed: exit code 4")


async def test_a_failing_pre_start_hook_is_an_event_and_the_error_of_the_instance(chief: ContainerMaster) -> None:
    wanted = assignment(pod={"hooks": [hook("pre_start", "fail", "exit 5")]})
    chief.assign(wanted)
    status = await chief.status(wanted, lambda status: bool(status.error))
    await told(chief, ERROR, "service:create_instance", status.error)


async def test_a_crash_is_told_with_its_exit_code_and_pause_and_a_stop_in_the_pause_is_the_end(
    chief: ContainerMaster, engine: Engine
) -> None:
    wanted = assignment(pod={"cmd": ["sh", "-c", "exit 3"]})
    chief.assign(wanted)
    for pause in (0, 1):
        await told(chief, WARN, "service:instance_crash", f"exit code 3; it starts again in {pause} s")
    begun = time.monotonic()
    stopped = redeployed(wanted, desired_state="stopped")
    chief.assign(stopped)
    status = await chief.status(stopped, lambda status: status.state == "stopped")

    async def pause_is_over() -> bool:
        return time.monotonic() > begun + 1.5

    await eventually(pause_is_over)
    shown = engine.inspect("web-1")["State"]
    assert (shown["Running"], status.error) == (False, "")
    again = redeployed(stopped, desired_state="stopped")
    chief.assign(again)
    later = await chief.status(again, lambda status: status.state == "stopped")
    assert later.started_at == status.started_at, "not started again"
    chief.withdraw(wanted.instance_id)
    await gone(engine, "web-1")


async def test_a_container_that_used_up_its_memory_says_so(chief: ContainerMaster) -> None:
    # dd takes a buffer of 64 MB and writes to all of it.
    cmd = ["sh", "-c", "exec dd if=/dev/zero of=/dev/null bs=64M count=1"]
    wanted = assignment(pod={"cmd": cmd, "memory": 8_000_000, "memory_swap": 8_000_000})
    chief.assign(wanted)
    await told(chief, WARN, "service:instance_crash", "exit code 137 (out of memory)")
