"""Whether a start of a container counts: it stayed up for a moment, or opened its port."""

import asyncio
import time
from dataclasses import replace

import pytest

from agent.readiness import Readiness
from agent.runtime.hollow import HollowProbes
from agent.runtime.ports import Container

SECOND = 1_000_000_000


def started(age: float = 0.0) -> Container:
    return Container("c1", "web-1", "sha256:1", {}, running=True, started_at_ns=time.time_ns() - int(age * SECOND))


def ended(running: Container, code: int = 0) -> Container:
    return replace(running, running=False, exit_code=code, finished_at_ns=running.started_at_ns + SECOND // 100)


class Watched:
    """A readiness, and whether it told that its wait is over."""

    def __init__(self, moment: float) -> None:
        self.told = asyncio.Event()
        self.readiness = Readiness(HollowProbes(), 5.0, moment, self.told.set)

    async def over(self) -> None:
        await asyncio.wait_for(self.told.wait(), 10)

    def look(self, container: Container, port: int = 0, remembered: str = "") -> bool:
        self.readiness.looks()
        return self.readiness.reached(container, port, remembered)


async def test_it_is_ready_when_a_look_after_the_moment_finds_it_up() -> None:
    watched, container = Watched(0.05), started()
    assert not watched.look(container)
    watched.readiness.looks()
    await watched.over()
    assert not watched.readiness.reached(container, 0, ""), "what is known is older than the moment"
    assert watched.look(container)
    assert not watched.readiness.problem
    watched.readiness.stopped(ended(container), 0, "")
    assert not watched.readiness.problem, "it was ready before it ended"


async def test_one_that_was_ready_before_the_agent_started_is_ready() -> None:
    container = started()
    assert Watched(60).look(container, remembered=f"c1@{container.started_at_ns}")


@pytest.mark.parametrize("seen", [True, False])
@pytest.mark.parametrize(("code", "words"), [(0, "stays in the foreground"), (3, "exit code 3 right after its start")])
async def test_an_end_before_that_is_a_problem_whoever_saw_it_run(seen: bool, code: int, words: str) -> None:
    watched, container = Watched(60), started()
    if seen:
        watched.look(container)
    watched.readiness.stopped(ended(container, code), 0, "")
    assert words in watched.readiness.problem
    assert watched.look(ended(container, code))
    assert words in watched.readiness.problem, "a later look forgets nothing"
    assert not watched.look(replace(container, started_at_ns=time.time_ns()))
    assert not watched.readiness.problem, "the next start has a chance of its own"
    watched.readiness.cancel()


async def test_an_end_before_the_port_was_open_is_a_problem_however_late() -> None:
    watched, container = Watched(0), started(age=3)
    watched.look(container, 8080)
    watched.readiness.stopped(ended(container, 7), 8080, "")
    assert "exit code 7 before port 8080" in watched.readiness.problem
