"""What a health check is, and how one start of a container is checked: MH-62, MH-63."""

import asyncio
import time
from dataclasses import replace

import pytest

from agent.domain.health import HealthCheck, check_of, http_problem
from agent.health import HealthMonitor
from agent.runtime.hollow import HollowProbes, HollowRuntime
from agent.runtime.ports import Container

CHECK = HealthCheck("http", 80, "/up", interval=1, timeout=1, initial_delay=0)
STARTED = Container("c1", "web-1", "i1", CHECK.labels(), running=True, started_at_ns=1, address="10.0.0.2")


class Answering(HollowProbes):
    """Containers answer with `status`."""

    def __init__(self) -> None:
        self.runtime = HollowRuntime("ENGINE")
        self.runtime.probes = self
        self.status: int | str = 200
        self.asked: list[tuple[str, int, str]] = []

    async def http_status(self, address: str, port: int, uri: str, seconds: float) -> int | str:
        self.asked.append((address, port, uri))
        return self.status


async def checked(monitor: HealthMonitor, told: asyncio.Event, container: Container) -> None:
    told.clear()
    monitor.begin(container, fresh=False)
    async with asyncio.timeout(30):
        await told.wait()


def test_labels_and_check_say_the_same() -> None:
    assert check_of(CHECK.labels()) == CHECK
    tcp = HealthCheck("tcp", 5432)
    command = HealthCheck("exec", cmd=("test", "-e", ""))
    assert check_of(command.labels()) == command
    assert check_of({**command.labels(), "io.kontena.health_check.cmd": "{"}) is None
    assert check_of(tcp.labels()) == tcp


def test_what_is_not_said_has_its_default() -> None:
    found = check_of({"io.kontena.health_check.protocol": "http", "io.kontena.health_check.port": "80"})
    assert found == HealthCheck("http", 80, "/", interval=60, timeout=10, initial_delay=10)


@pytest.mark.parametrize("changed", [{"protocol": ""}, {"protocol": "udp"}, {"port": "0"}, {"port": "x"}])
def test_labels_that_ask_for_no_check(changed: dict[str, str]) -> None:
    odd = {f"io.kontena.health_check.{name}": value for name, value in changed.items()}
    assert check_of({**CHECK.labels(), **odd}) is None


@pytest.mark.parametrize(
    ("status", "healthy"),
    [(200, True), (302, True), (399, True), (400, False), (404, False), (503, False), ("refused", False)],
)
def test_redirects_are_healthy_and_errors_are_not(status: int | str, healthy: bool) -> None:
    assert (http_problem(status) == "") is healthy


async def test_a_healthy_container_is_not_condemned() -> None:
    answering, told = Answering(), asyncio.Event()
    monitor = HealthMonitor(answering.runtime, told.set)
    await checked(monitor, told, STARTED)
    assert (monitor.health, monitor.condemns(STARTED)) == ("healthy", False)
    assert answering.asked[0] == ("10.0.0.2", 80, "/up")
    monitor.cancel()


async def test_a_container_that_runs_for_long_is_checked_at_once_by_a_new_agent() -> None:
    answering, told = Answering(), asyncio.Event()
    slow = replace(CHECK, initial_delay=3600)
    started = replace(STARTED, labels=slow.labels(), started_at_ns=time.time_ns() - 3601 * 10**9)
    monitor = HealthMonitor(answering.runtime, told.set)
    await checked(monitor, told, started)
    assert monitor.health == "healthy"
    told.clear()
    for fresh, container in (
        (False, replace(started, started_at_ns=time.time_ns())),
        (True, replace(started, id="c2")),
    ):
        monitor.begin(container, fresh=fresh)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await told.wait()
    monitor.cancel()


async def test_one_failed_check_condemns_this_start_of_this_container_only() -> None:
    answering, told = Answering(), asyncio.Event()
    answering.status = 404
    monitor = HealthMonitor(answering.runtime, told.set)
    await checked(monitor, told, STARTED)
    assert (monitor.health, monitor.condemns(STARTED)) == ("unhealthy", True)
    assert "status 404" in monitor.problem
    restarted, another = replace(STARTED, started_at_ns=2), replace(STARTED, id="c2")
    assert not monitor.condemns(restarted)
    assert not monitor.condemns(another)
    assert not monitor.condemns(replace(STARTED, running=False))
    answering.status = 200
    monitor.begin(restarted, fresh=False)
    assert monitor.health == "unhealthy", "nothing better is known yet"
    told.clear()
    await told.wait()
    assert monitor.health == "healthy"
    monitor.look(None)
    assert monitor.health == ""
    monitor.cancel()


async def test_a_container_that_recovers_is_not_condemned_any_more() -> None:
    answering, told = Answering(), asyncio.Event()
    answering.status = "connection refused"
    monitor = HealthMonitor(answering.runtime, told.set)
    await checked(monitor, told, STARTED)
    assert monitor.condemns(STARTED)
    assert monitor.problem == "http port 80/up: connection refused"
    answering.status = 200
    told.clear()
    await told.wait()
    assert (monitor.health, monitor.condemns(STARTED)) == ("healthy", False)
    monitor.cancel()
