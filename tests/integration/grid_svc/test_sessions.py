import asyncio
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import grpc
import pytest

from kontena.grid.v1 import node_session_pb2 as pb
from services.grid_svc.app import build
from services.grid_svc.domain.heartbeat import Rhythm
from services.grid_svc.loops.node_liveness import NodeLiveness
from services.grid_svc.store import node_sessions as store
from services.grid_svc.usecases import node_sessions
from services.kernel.cluster_token import ClusterTokens
from services.kernel.db import Database
from services.kernel.principal import NodeSession
from tests.integration.grid_svc import grace
from tests.integration.grid_svc.agents import Agent, engine_id, joined, session_of
from tests.integration.grid_svc.caller import Caller
from tests.integration.grid_svc.conftest import MakeSettings
from tests.support.eventually import eventually
from tests.support.running import CLUSTER_SECRET, Running, running
from tests.support.statements import prepared_of, statements_of

GRID = "kontena-grid-token"


async def node(admin: Caller, path: str = "alpha/node-1") -> dict[str, Any]:
    body: dict[str, Any] = (await admin.node(path)).body
    return body


async def becomes(admin: Caller, *, connected: bool) -> dict[str, Any]:
    async def fact() -> dict[str, Any] | None:
        body = await node(admin)
        return body if body["connected"] is connected else None

    found = await eventually(fact)
    assert found is not None
    return found


@pytest.mark.parametrize("replicas", [("grid", "grid"), ("grid", "other_replica")])
async def test_a_newer_session_supersedes_the_older_one(
    request: pytest.FixtureRequest,
    grid: Running,
    other_replica: Running,
    admin: Caller,
    token: str,
    db: Database,
    replicas: tuple[str, str],
) -> None:
    channels = {"grid": grid.channel, "other_replica": other_replica.channel}
    async with joined(channels[replicas[0]], token) as old, joined(channels[replicas[1]], token) as new:
        code, why, message = await old.end()
        assert (code, why) == (grpc.StatusCode.FAILED_PRECONDITION, "SESSION_SUPERSEDED")
        assert message.startswith("host node node-1 connection conflict with new connection at ")
        # However late the end of the older session is written, it changes nothing.
        async with db.transaction() as tx:
            await store.end(tx, [session_of(old)])
            await store.lose(tx, [session_of(old)])
            await store.disconnect_lost(tx, 0)
            assert await store.touch(tx, [store.Sighting(session_of(old), 0)]) == set()
        assert (await node(admin))["connected"]
        await new.heartbeat()
        async with db.transaction() as tx:
            assert await store.touch(tx, [store.Sighting(session_of(new), 0)]) == {session_of(new)}


async def test_a_goodbye_disconnects_at_once(grid: Running, admin: Caller, token: str, db: Database) -> None:
    agent = Agent(grid.channel, {GRID: token})
    await agent.hello(name="node-1")
    await agent.goodbye()
    shown = await becomes(admin, connected=False)
    assert (shown["status"], bool(shown["disconnected_at"])) == ("offline", True)


async def test_a_broken_stream_counts_as_connected_for_a_moment(
    grid: Running, admin: Caller, token: str, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    # On a busy machine it takes longer until a broken stream does not look like one that was closed.
    monkeypatch.setattr(node_sessions, "_GOODBYE_SECONDS", 5.0)
    agent = Agent(grid.channel, {GRID: token})
    await agent.hello(name="node-1")
    agent.break_off()

    async def lost() -> bool:
        async with db.read() as tx:
            row = (await tx.exec_driver_sql("select lost_at, connected from grid.nodes")).one()
        return row.lost_at is not None and row.connected

    await eventually(lost)
    await grace.over(db)
    await becomes(admin, connected=False)


async def test_an_agent_that_comes_back_in_time_was_never_offline(
    grid: Running, other_replica: Running, admin: Caller, token: str, db: Database
) -> None:
    agent = Agent(grid.channel, {GRID: token})
    await agent.hello(name="node-1")
    async with db.transaction() as tx:
        await store.lose(tx, [session_of(agent)])
    async with joined(other_replica.channel, token):
        # The end of the broken session is written once more, late, and its grace is over.
        async with db.transaction() as tx:
            await store.lose(tx, [session_of(agent)])
            await store.end(tx, [session_of(agent)])
            await store.disconnect_lost(tx, 0)
        shown = await node(admin)
        assert (shown["connected"], "disconnected_at" in shown) == (True, False)


async def test_nodes_are_given_up_only_after_watching_for_as_long_as_the_rule_waits(
    admin: Caller, token: str, db: Database
) -> None:
    async with db.transaction() as tx:
        await tx.exec_driver_sql(
            "insert into grid.nodes (id, grid_id, node_id, name, node_number, labels, connected, session, "
            "last_seen_at) select repeat('a', 24), id, 'e', 'node-1', 1, '{}', true, 4, "
            "now() - interval '70 s' from grid.grids"
        )
    rhythm = Rhythm(seconds=20.0, per_second=50.0, writing=0.0)
    assert rhythm.silence(1) == 60
    times = iter([0.0, 59.0, 60.0, 119.0, 120.0])
    unreachable = Database("postgresql://nobody@127.0.0.1:1/none")
    liveness = NodeLiveness(db, 3, rhythm, lambda: next(times))
    for _ in range(2):
        await liveness.turn()
        assert (await node(admin))["connected"]
    # A failure begins the wait anew: nobody could write signs of life either.
    liveness._db = unreachable
    with pytest.raises(OSError, match="Connect call failed"):
        await liveness.turn()
    await unreachable.close()
    liveness._db = db
    await liveness.turn()
    assert (await node(admin))["connected"]
    again = NodeLiveness(db, 3, rhythm, iter([0.0, 60.0]).__next__)
    await again.turn()
    await again.turn()
    assert not (await node(admin))["connected"]


async def test_removal_ends_the_session(grid: Running, other_replica: Running, admin: Caller, token: str) -> None:
    async with joined(other_replica.channel, token) as agent:
        await admin.delete_node("alpha/node-1")
        assert await agent.end() == (
            grpc.StatusCode.FAILED_PRECONDITION,
            "NODE_REMOVED",
            "host node node-1 has been removed",
        )


async def test_a_node_that_was_given_up_resets_its_session(
    grid: Running, admin: Caller, token: str, db: Database
) -> None:
    async with joined(grid.channel, token) as agent:
        async with db.transaction() as tx:
            await store.disconnect_silent(tx, -60)
        code, why, _ = await agent.end()
        assert (code, why) == (grpc.StatusCode.ABORTED, "SESSION_RESET")


@pytest.fixture
async def hasty(grid_settings: MakeSettings) -> AsyncIterator[Running]:
    """A replica whose agents must speak once a second; no loop gives a node up before its session does."""
    async with running(partial(build, grid_settings(heartbeat_seconds=1))) as served:
        yield served


@pytest.fixture
async def patient(grid_settings: MakeSettings) -> AsyncIterator[Running]:
    """A replica that writes down each sign of life and renews each token, and waits long for the next one."""
    settings = grid_settings(heartbeat_seconds=5, last_seen_seconds=0.1, token_refresh_seconds=0.01)
    async with running(partial(build, settings)) as served:
        yield served


async def test_silence_ends_the_session(hasty: Running, admin: Caller, token: str) -> None:
    async with joined(hasty.channel, token) as agent:
        code, why, message = await agent.end()
        assert (code, why, message) == (grpc.StatusCode.ABORTED, "HEARTBEAT_TIMEOUT", "ping timeout after 3s")
        await becomes(admin, connected=False)


async def test_silence_before_hello_ends_the_stream(hasty: Running, token: str) -> None:
    agent = Agent(hasty.channel, {GRID: token})
    assert (await agent.end())[1] == "HEARTBEAT_TIMEOUT"


async def test_of_many_nodes_each_speaks_more_seldom_and_may_be_silent_for_longer(
    grid_settings: MakeSettings, token: str
) -> None:
    # The first one is silent until the last one has come, which must not be too long for it on a busy machine.
    settings = grid_settings(heartbeat_seconds=1, heartbeats_per_second=2.5)
    async with running(partial(build, settings)) as crowded:
        agents = [Agent(crowded.channel, {GRID: token}) for _ in range(4)]
        told = [_period(await agent.hello(node_id=engine_id(n), name=f"n{n}")) for n, agent in enumerate(agents)]
        assert told == pytest.approx([1.0, 1.0, 1.2, 1.6], rel=0.1)
        assert _period(await agents[0].heartbeat()) == pytest.approx(1.6, rel=0.1)
        assert await agents[0].end() == (grpc.StatusCode.ABORTED, "HEARTBEAT_TIMEOUT", "ping timeout after 4.8s")
        for agent in agents[1:]:
            agent.break_off()


def _period(message: pb.Welcome | pb.HeartbeatReply) -> float:
    return message.heartbeat_period.ToTimedelta().total_seconds()


async def test_heartbeats_keep_a_session_and_renew_its_token(
    patient: Running, admin: Caller, token: str, db: Database
) -> None:
    async with joined(patient.channel, token) as agent:
        begun = (await node(admin))["last_seen_at"]

        async def alive() -> bool:
            reply = await agent.heartbeat()
            assert 4.5 <= reply.heartbeat_period.ToTimedelta().total_seconds() <= 5.5
            assert not reply.session_token or session_of(agent) == _session(reply.session_token)
            shown = await node(admin)
            return bool(reply.session_token) and shown["last_seen_at"] > begun and shown["connected"]

        await eventually(alive)


def _session(token: str) -> NodeSession | None:
    return ClusterTokens(CLUSTER_SECRET).verify_node(token).node


async def test_signs_of_life_of_many_nodes_are_one_statement(
    patient: Running, token: str, db: Database, admin: Caller
) -> None:
    agents = [Agent(patient.channel, {GRID: token}) for _ in range(8)]
    await asyncio.gather(*(agent.hello(node_id=engine_id(n), name=f"n{n}") for n, agent in enumerate(agents)))
    await asyncio.gather(*(agent.heartbeat() for agent in agents))
    sightings = [store.Sighting(session_of(agent), 1.0) for agent in agents]
    stale = NodeSession(sightings[0].session.grid_id, sightings[0].session.node_id, 99)
    async with db.transaction() as tx:
        present = await store.touch(tx, [*sightings, store.Sighting(stale, 0.0)])
    assert present == {item.session for item in sightings}
    for agent in agents:
        agent.break_off()


async def test_nodes_of_a_dead_replica_are_given_up_by_another_one(
    grid_settings: MakeSettings, admin: Caller, token: str, db: Database
) -> None:
    settings = grid_settings(heartbeat_seconds=0.2, last_seen_seconds=0.1)
    async with db.transaction() as tx:
        await tx.exec_driver_sql(
            "insert into grid.nodes (id, grid_id, node_id, name, node_number, labels, connected, session, "
            "last_seen_at) select repeat('a', 24), id, 'e', 'node-1', 1, '{}', true, 4, "
            "now() - interval '5 s' from grid.grids"
        )
    assert (await node(admin))["connected"]
    async with running(partial(build, settings)):
        await becomes(admin, connected=False)


async def test_a_node_that_comes_back_costs_few_statements(grid: Running, token: str) -> None:
    async with joined(grid.channel, token, 2), joined(grid.channel, token):
        with statements_of("Connect") as ran, prepared_of("Connect") as read:
            async with joined(grid.channel, token) as agent:
                await agent.info(os="Linux")
                await agent.heartbeat()
                opened = [statement for statement in ran if not statement.startswith("SELECT")]
                ran.clear()
                await agent.call.write(pb.ConnectRequest(network=pb.NetworkReport(state="overlay")))
                await agent.heartbeat()
    # The session and what the agent tells of its machine, each by itself; what the node must know; the report.
    assert [statement.split()[0] for statement in opened] == ["UPDATE", "UPDATE"]
    assert len(read) == 1
    assert [statement.split()[0] for statement in ran] == ["begin", "WITH", "commit"]
