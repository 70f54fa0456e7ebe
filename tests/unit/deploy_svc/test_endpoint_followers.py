"""What followers of the endpoints of a grid are told, without a database."""

import asyncio
import itertools
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from services.deploy_svc.domain.endpoint import Endpoint
from services.deploy_svc.usecases.endpoints import Endpoints, _Follower, _Grid, gather_seconds
from services.kernel.principal import NodeSession
from tests.support.eventually import eventually

SESSION = NodeSession("0" * 24, "1" * 24, 1)


def endpoint(name: str, address: str) -> Endpoint:
    return Endpoint(name, "web", "null", name, "grid.local", exposed=True, address=address, node_id=SESSION.node_id)


async def test_all_hear_the_very_same_steps_also_those_who_are_slow() -> None:
    grid, one, slow = _Grid({}), _Follower(SESSION), _Follower(SESSION)
    grid.followers |= {one, slow}
    grid.take({"a": endpoint("a", "10.0.0.1")}, ["a"])
    await one.woken()
    [first] = grid.steps.after(0)
    grid.take({"b": endpoint("b", "10.0.0.2")}, ["a", "b"])
    await one.woken()
    [second] = grid.steps.after(1)
    await slow.woken()
    assert [step is other for step, other in zip(grid.steps.after(0), (first, second), strict=True)] == [True, True]
    assert [each.address for each in first.upserted] == ["10.0.0.1"]
    assert ([each.address for each in second.upserted], list(second.removed)) == (["10.0.0.2"], ["a"])


async def test_who_begins_hears_the_complete_list() -> None:
    grid = _Grid({"a": endpoint("a", "10.0.0.1")})
    grid.take({"b": endpoint("b", "10.0.0.2")}, ["b"])
    [whole] = grid.steps.after(None)
    assert (whole.reset, whole.synced, {each.address for each in whole.upserted}) == (
        True,
        True,
        {"10.0.0.1", "10.0.0.2"},
    )


async def test_a_thousand_are_woken_a_few_in_each_turn_of_the_loop() -> None:
    grid = _Grid({})
    grid.followers |= {_Follower(SESSION) for _ in range(1000)}
    grid.take({"a": endpoint("a", "10.0.0.1")}, ["a"])
    woken = [sum(follower.wake.is_set() for follower in grid.followers)]
    while woken[-1] < 1000:
        await asyncio.sleep(0)
        woken.append(sum(follower.wake.is_set() for follower in grid.followers))
    assert max(after - before for before, after in itertools.pairwise(woken)) <= 100


async def test_many_nodes_that_are_lost_at_once_are_few_steps() -> None:
    nodes: Any = SimpleNamespace(informer=SimpleNamespace(on_change=lambda _observer: None))
    unused: Any = None
    endpoints = Endpoints(unused, unused, nodes)
    found = [replace(endpoint(f"i{number}", "10.0.0.1"), node_id=f"n{number}") for number in range(400)]
    grid = endpoints._grids["g"] = _Grid({each.instance_id: each for each in found})
    following = asyncio.create_task(endpoints._follow_nodes())
    for each in found:
        endpoints._set_lost(each.node_id, lost=True)
        await asyncio.sleep(0)

    async def told() -> bool:
        return all(each.lost for each in grid.known.values())

    await eventually(told)
    following.cancel()
    assert grid.steps.number <= 3


def test_a_few_nodes_are_told_at_once_and_a_thousand_once_a_second() -> None:
    assert gather_seconds(10) < 0.1
    assert 1 < gather_seconds(1000) < 2
