import asyncio

import pytest

from services.grid_svc.domain.network import PeerUpdate
from services.grid_svc.domain.node import AddressBook
from services.grid_svc.domain.refusals import SessionRefused
from services.grid_svc.domain.session import NodeDescription, silent
from services.grid_svc.usecases.live_sessions import HeartbeatDue, LiveSession, LiveSessions
from services.kernel.principal import NodeSession
from services.kernel.steps import Steps

ONE = NodeSession("g", "n", 1)
TWO = NodeSession("g", "n", 2)


def description(name: str) -> NodeDescription:
    return NodeDescription("n", name, 1, "10.81.0.1", (), (), "g", "grid", "10.81.0.0/16", "10.80.0.0/12")


def make() -> tuple[LiveSessions, LiveSession, list[float]]:
    now = [0.0]
    sessions = LiveSessions(lambda: now[0])
    return sessions, sessions.add(ONE, "one"), now


async def test_only_the_newest_description_is_sent_and_only_once() -> None:
    _, live, _ = make()
    live.told(description("a"))
    for name in ("a", "b", "c"):
        live.describe(description(name))
    assert await live.next() == description("c")
    live.describe(description("c"))
    live.beat()
    live.beat()
    assert await live.next() == HeartbeatDue()
    waiting = asyncio.ensure_future(live.next())
    live.goodbye()
    assert await waiting is None
    assert not live.lost


async def test_an_end_comes_first_and_the_first_end_counts() -> None:
    _, live, _ = make()
    live.beat()
    live.end(SessionRefused(silent(15)))
    live.end(ValueError())
    with pytest.raises(SessionRefused, match="ping timeout after 15s"):
        await live.next()
    assert not live.lost


async def test_an_agent_hears_the_list_of_peers_and_then_each_step_and_who_is_slow_hears_the_same() -> None:
    whole = PeerUpdate(True)
    feed: Steps[PeerUpdate] = Steps(lambda: (whole,))
    _, fast, _ = make()
    _, slow, _ = make()
    fast.follow_peers(feed)
    assert await fast.next() is whole
    slow.follow_peers(feed)
    assert await slow.next() is whole
    steps = [PeerUpdate(False, removed=(key,)) for key in "ab"]
    for step in steps:
        feed.add(step)
        fast.wake()
        assert await fast.next() is step
    slow.wake()
    assert [await slow.next() is step for step in steps] == [True, True]


async def test_an_agent_that_looks_from_another_place_hears_the_list_from_there() -> None:
    _, live, _ = make()
    here: Steps[PeerUpdate] = Steps(lambda: (PeerUpdate(True),))
    live.follow_peers(here)
    await live.next()
    here.add(PeerUpdate(False, removed=("a",)), PeerUpdate(False, removed=("b",)))
    live.wake()
    await live.next()
    there = PeerUpdate(True)
    live.follow_peers(Steps(lambda: (there,)))
    assert await live.next() is there


def test_a_session_that_nobody_ended_is_lost() -> None:
    _, live, _ = make()
    assert live.lost
    live.end(ConnectionError())
    assert live.lost


def test_signs_of_life_are_written_once() -> None:
    sessions, live, now = make()
    assert sessions.unwritten() == []
    now[0] = 1.0
    sessions.heard(live)
    assert sessions.unwritten() == [live]
    live.written_at = 1.0
    assert sessions.unwritten() == []


def test_two_sessions_of_a_node_side_by_side() -> None:
    sessions, old, _ = make()
    new = sessions.add(TWO, "one")
    sessions.remove(old)
    assert list(sessions.of_grid("g")) == [new]
    assert sessions.closed() == [old]
    assert sessions.ended.is_set()
    sessions.remove(new)
    sessions.forget([old])
    assert (sessions.closed(), set(sessions.grids()), list(sessions.of_grid("g"))) == ([new], set(), [])


def test_addresses_are_remembered_while_a_grid_has_sessions() -> None:
    live = LiveSessions(lambda: 0.0)
    book, other = AddressBook([]), AddressBook([])
    live.keep({"g": book})
    assert live.book("g") is None, "nobody of the grid is here"
    first, second = (live.add(NodeSession("g", node, 1), node) for node in ("a", "b"))
    live.keep({"g": book, "h": other})
    live.remove(first)
    assert live.book("g") is book
    live.remove(second)
    assert (live.book("g"), live.book("h")) == (None, None)
