"""Which replica holds the command stream of a node, and for how long that is believed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa

from services.deploy_svc.domain.node_command import Event
from services.deploy_svc.store import command_routes
from services.deploy_svc.store.container_tables import node_streams
from services.deploy_svc.usecases.current_session import SessionEnded
from services.deploy_svc.usecases.node_commands import NodeCommands
from services.kernel.db import Database
from services.kernel.principal import NodeSession
from tests.integration.deploy_svc.stand_ins import GRID
from tests.support.eventually import eventually


class Nodes:
    """Knows every node."""

    async def awaited(self, _node_id: str, _seconds: float) -> Any:
        return SimpleNamespace(grid_id=GRID, session=1)


NODES: Any = Nodes()
NO_RELAY: Any = None


def of(number: int) -> NodeSession:
    return NodeSession(GRID, f"{number:02}".ljust(24, "0"), 1)


async def _silence() -> AsyncIterator[tuple[str, Event]]:
    await asyncio.Event().wait()
    yield "", None  # Never reached: it makes this a generator.


async def _hold(commands: NodeCommands, session: NodeSession) -> None:
    async for _ in commands.attach(session, _silence()):
        pass


@asynccontextmanager
async def holding(commands: NodeCommands, *sessions: NodeSession) -> AsyncIterator[list[asyncio.Task[None]]]:
    """Streams of these nodes at a replica, for as long as the block lasts."""
    tasks = [asyncio.create_task(_hold(commands, session)) for session in sessions]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _held(db: Database, session: NodeSession, address: str) -> bool:
    async with db.read() as tx:
        route = await command_routes.find(tx, session.node_id)
    return route is not None and route.address == address


async def test_a_stream_ends_when_another_one_has_taken_its_place(deploy_db: Database) -> None:
    first, second = (NodeCommands(deploy_db, NODES, name, NO_RELAY) for name in ("one:1", "two:1"))
    async with holding(first, of(1), of(2)) as (left, stays):
        await eventually(lambda: _held(deploy_db, of(1), "one:1"))
        await eventually(lambda: _held(deploy_db, of(2), "one:1"))
        async with holding(second, of(1)) as [taken]:
            await eventually(lambda: _held(deploy_db, of(1), "two:1"))
            await asyncio.gather(first.renew(), second.renew())
            with pytest.raises(SessionEnded, match="taken over"):
                await asyncio.wait_for(left, 30)
            assert not stays.done()
            assert not taken.done()


async def test_streams_of_many_nodes_are_kept_valid_at_once(deploy_db: Database) -> None:
    commands = NodeCommands(deploy_db, NODES, "one:1", NO_RELAY)
    sessions = [of(number) for number in range(3)]
    async with holding(commands, *sessions):
        for session in sessions:
            await eventually(lambda session=session: _held(deploy_db, session, "one:1"))
        long_ago = sa.func.now() - sa.text("interval '1 minute'")
        async with deploy_db.transaction() as tx:
            await tx.execute(node_streams.update().values(renewed_at=long_ago))
        assert not await _held(deploy_db, sessions[0], "one:1")
        await commands.renew()
        assert [await _held(deploy_db, session, "one:1") for session in sessions] == [True] * 3
