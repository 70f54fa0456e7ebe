"""Those who follow a deploy look when something is told about it, and not otherwise."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence

import pytest

from services.deploy_svc.domain.deploy_progress import Line
from services.deploy_svc.usecases import deploy_following
from services.deploy_svc.usecases.deploy_following import follow
from services.kernel.errors import NotFound
from services.kernel.listen import Listener, Wakes

STACK = Line("d1", "queued", "created")
BEGUN = Line("d2", "queued", "created", "g/shop/web")
DONE = Line("d1", "finished", "success")


class Deploy:
    """What is there to tell; counts how often somebody looks."""

    def __init__(self) -> None:
        self.wakes = Wakes(Listener("", ()), "")
        self.lines = [STACK]
        self.ended = self.removed = False
        self.looks = 0

    async def look(self) -> tuple[Iterable[Line], bool]:
        self.looks += 1
        if self.removed:
            raise NotFound
        return tuple(self.lines), self.ended

    def tell(self, deploy_id: str, line: Line) -> None:
        self.lines.append(line)
        self.ended = line == DONE
        self.wakes.wake(deploy_id)


@pytest.fixture
def deploy(monkeypatch: pytest.MonkeyPatch) -> Deploy:
    monkeypatch.setattr(deploy_following, "_POLL_SECONDS", 3600.0)
    monkeypatch.setattr(deploy_following, "_KEEP_ALIVE_SECONDS", 0.01)
    monkeypatch.setattr(deploy_following, "_SHORTEST_PAUSE", 0.0)
    return Deploy()


async def test_nobody_looks_while_nothing_is_told(deploy: Deploy) -> None:
    told = follow(deploy.wakes, "d1", deploy.look)
    assert await anext(told) == [STACK]
    assert not any([await anext(told) for _ in range(10)])
    deploy.wakes.wake("d3")
    assert not any([await anext(told) for _ in range(10)])
    assert deploy.looks == 1
    deploy.tell("d1", DONE)
    assert await _rest(told) == [DONE]
    assert deploy.looks == 2


async def test_the_deploys_of_its_services_are_followed_from_when_they_begin(deploy: Deploy) -> None:
    told = follow(deploy.wakes, "d1", deploy.look)
    assert await anext(told) == [STACK]
    deploy.tell("d1", BEGUN)
    assert await _next(told) == [BEGUN]
    instance = Line("d2", "instance", "success", "g/shop/web", 1, "n1")
    deploy.tell("d2", instance)
    assert await _next(told) == [instance]
    deploy.tell("d1", DONE)
    assert await _rest(told) == [DONE]


async def test_a_deploy_that_is_removed_ends_and_one_that_never_was_is_not_found(deploy: Deploy) -> None:
    told = follow(deploy.wakes, "d1", deploy.look)
    await anext(told)
    deploy.removed = True
    deploy.wakes.wake("d1")
    assert [(line.step, line.state) for line in await _rest(told)] == [("finished", "error")]
    with pytest.raises(NotFound):
        await anext(follow(deploy.wakes, "d1", deploy.look))


async def _next(told: AsyncIterator[Sequence[Line]]) -> list[Line]:
    async with asyncio.timeout(30):
        async for lines in told:
            if lines:
                return list(lines)
    raise AssertionError("it ended")


async def _rest(told: AsyncIterator[Sequence[Line]]) -> list[Line]:
    async with asyncio.timeout(30):
        return [line async for lines in told for line in lines]
