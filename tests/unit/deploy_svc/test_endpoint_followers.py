"""What followers of the endpoints of a grid are told, without a database."""

from services.deploy_svc.domain.endpoint import Endpoint
from services.deploy_svc.usecases.endpoints import _Follower, _Grid, gather_seconds
from services.kernel.principal import NodeSession

SESSION = NodeSession("0" * 24, "1" * 24, 1)


def endpoint(name: str, address: str) -> Endpoint:
    return Endpoint(name, "web", "null", name, "grid.local", exposed=True, address=address, node_id=SESSION.node_id)


async def test_all_who_wait_hear_the_very_same_step() -> None:
    grid, one, two = _Grid({}), _Follower(SESSION), _Follower(SESSION)
    grid.followers |= {one, two}
    grid.take({"a": endpoint("a", "10.0.0.1")}, ["a"])
    [first] = await one.next()
    [second] = await two.next()
    assert first is second
    assert [each.address for each in first.upserted] == ["10.0.0.1"]


async def test_one_that_is_slow_hears_the_newest_of_each() -> None:
    grid, slow = _Grid({}), _Follower(SESSION)
    grid.followers.add(slow)
    grid.take({"a": endpoint("a", "10.0.0.1"), "b": endpoint("b", "10.0.0.2")}, ["a", "b"])
    grid.take({"a": endpoint("a", "10.0.0.3")}, ["a", "b"])
    [step] = await slow.next()
    assert ([each.address for each in step.upserted], list(step.removed)) == (["10.0.0.3"], ["b"])
    grid.take({"c": endpoint("c", "10.0.0.4")}, ["c"])
    [step] = await slow.next()
    assert ([each.address for each in step.upserted], list(step.removed)) == (["10.0.0.4"], [])


def test_a_few_nodes_are_told_at_once_and_a_thousand_once_a_second() -> None:
    assert gather_seconds(10) < 0.1
    assert 1 < gather_seconds(1000) < 2
