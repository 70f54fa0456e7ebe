"""An old session ends late, in every order of the writes that matter, with real streams through a delaying relay."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any

import grpc
import pytest

from services.grid_svc.app import build
from services.grid_svc.domain.session import Hello
from services.grid_svc.store import node_sessions as store
from services.grid_svc.store import nodes as node_store
from services.kernel.db import Database
from services.kernel.principal import NodeSession
from tests.integration.grid_svc.agents import Agent, joined, session_of
from tests.integration.grid_svc.caller import Caller
from tests.integration.grid_svc.conftest import MakeSettings
from tests.support.eventually import eventually
from tests.support.running import Running, running

GRID = "kontena-grid-token"


class Relay:
    """TCP in between: `hold` keeps everything back, the end of the connection included, until `release`."""

    def __init__(self, target: str) -> None:
        self._host, _, port = target.rpartition(":")
        self._port = int(port)
        self._open = asyncio.Event()
        self._open.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: list[asyncio.StreamWriter] = []
        self.held = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_connection(self._host, self._port)
        self._writers += [writer, up_writer]
        for source, sink in ((reader, up_writer), (up_reader, writer)):
            task = asyncio.create_task(self._pump(source, sink))
            self._tasks.add(task)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await source.read(65536):
                self.held += not self._open.is_set()
                await self._open.wait()
                sink.write(data)
                await sink.drain()
        self.held += not self._open.is_set()
        await self._open.wait()
        with suppress(OSError):
            sink.close()

    def hold(self) -> None:
        self._open.clear()

    def release(self) -> None:
        self._open.set()

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for writer in self._writers:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()


@asynccontextmanager
async def relay(target: str) -> AsyncIterator[tuple[Relay, grpc.aio.Channel]]:
    found = Relay(target)
    server = await asyncio.start_server(found.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=[("grpc.use_local_subchannel_pool", 1)])
    yield found, channel
    await channel.close()
    await found.close()
    server.close()
    await server.wait_closed()


@pytest.fixture
async def patient(grid_settings: MakeSettings) -> AsyncIterator[Running]:
    """A replica of its own."""
    async with running(partial(build, grid_settings())) as served:
        yield served


async def test_the_end_of_a_delayed_stream_arrives_after_the_new_session(
    patient: Running, other_replica: Running, admin: Caller, token: str, db: Database
) -> None:
    async with relay(patient.address) as (wire, channel):
        old = Agent(channel, {GRID: token})
        await old.hello(name="node-1")
        # The machine loses its network: nothing of the old stream, its end included, reaches the master.
        wire.hold()
        await channel.close()

        async def at_the_relay() -> bool:
            return wire.held > 0

        await eventually(at_the_relay)
        async with joined(other_replica.channel, token) as new:
            wire.release()

            async def old_stream_is_written() -> bool:
                shown = (await admin.node("alpha/node-1")).body
                assert shown["connected"], "the late end of the old session must not show"
                return not patient_has_sessions(patient)

            await eventually(old_stream_is_written)
            # Longer than every grace, ten looks of the liveness loops of all replicas.
            async with db.transaction() as tx:
                await store.disconnect_lost(tx, 0)
            shown = (await admin.node("alpha/node-1")).body
            assert (shown["connected"], "disconnected_at" in shown) == (True, False)
            await new.heartbeat()


def patient_has_sessions(replica: Running) -> bool:
    """Whether the replica still holds a stream of an agent."""
    servicer: Any = next(each for each in replica.app.servicers if type(each).__name__ == "NodeSessionServicer")
    live = servicer._sessions._live
    return bool(live.grids() or live.closed())


async def _lose(db: Database, session: NodeSession) -> None:
    async with db.transaction() as tx:
        await store.lose(tx, [session])


async def _end(db: Database, session: NodeSession) -> None:
    async with db.transaction() as tx:
        await store.end(tx, [session])


async def _give_up(db: Database, _session: NodeSession) -> None:
    async with db.transaction() as tx:
        await store.disconnect_lost(tx, 0)


async def _touch(db: Database, session: NodeSession) -> None:
    async with db.transaction() as tx:
        await store.touch(tx, [store.Sighting(session, 0.0)])


_WRITES = {"lose": _lose, "end": _end, "give up": _give_up, "touch": _touch}


# Every third order, and all of them with `make test-heavy`.
_ORDERS = [
    pytest.param(order, id="-".join(order), marks=pytest.mark.heavy if number % 3 else ())
    for number, order in enumerate(itertools.permutations(_WRITES))
]


@pytest.mark.parametrize("order", _ORDERS)
async def test_writes_of_the_old_session_in_any_order_around_the_join(
    grid: Running, admin: Caller, token: str, db: Database, order: tuple[str, ...]
) -> None:
    """For each order, the join happens before the first, and between any two of the writes."""
    for position in range(len(order) + 1):
        before, after = order[:position], order[position:]
        old = Agent(grid.channel, {GRID: token})
        await old.hello(name="node-1")
        session = session_of(old)
        for name in before:
            await _WRITES[name](db, session)
        async with joined(grid.channel, token) as new:
            for name in after:
                await _WRITES[name](db, session)
            shown = (await admin.node("alpha/node-1")).body
            assert shown["connected"], (before, after)
            await new.goodbye()
        old.break_off()


async def test_writes_that_wait_for_the_lock_of_a_join(grid: Running, admin: Caller, token: str, db: Database) -> None:
    """The end of the old session is already on its way in the database when the new one begins."""
    old = Agent(grid.channel, {GRID: token})
    await old.hello(name="node-1")
    session = session_of(old)
    async with db.transaction() as tx:
        node = await node_store.find_by_engine_id(tx, session.grid_id, old_engine(), lock=True)
        assert node is not None
        late = [asyncio.create_task(write(db, session)) for write in (_lose, _end, _touch)]

        async def waiting() -> bool:
            async with db.read() as other:
                query = "select count(*) from pg_stat_activity where wait_event_type = 'Lock'"
                return (await other.exec_driver_sql(query)).scalar_one() >= len(late)

        await eventually(waiting)
        await store.open_session(tx, node.id, Hello(old_engine(), "node-1", "1.5.5"), None)
    await asyncio.gather(*late)
    await _give_up(db, session)
    assert (await admin.node("alpha/node-1")).body["connected"]
    old.break_off()


def old_engine() -> str:
    """The engine id of `Agent.hello`."""
    return ":".join(["0001"] * 12)
