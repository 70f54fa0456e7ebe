"""Who waits for a connection of the pool behind whom."""

import asyncio
from contextlib import AsyncExitStack

import pytest
import sqlalchemy as sa

from services.kernel import call
from services.kernel.call import Call
from services.kernel.database_errors import translate_database_error
from services.kernel.db import Database
from services.kernel.principal import NodeSession, Principal
from services.kernel.statements import Statement
from tests.support.eventually import eventually
from tests.support.postgres import TestPostgres

NODE = Principal("node", node=NodeSession("0" * 24, "1" * 24, 1))
MANY = 30


@pytest.fixture
def url(postgres: TestPostgres) -> str:
    return postgres.database()


async def _as_node(db: Database, begun: list[int], go_on: asyncio.Event) -> None:
    call.start(Call(method="", principal=NODE))
    async with db.read():
        begun.append(1)
        await go_on.wait()


async def test_agents_that_hold_all_they_may_hold_up_nobody_else(url: str) -> None:
    db, begun, go_on = Database(url, pool_size=5), list[int](), asyncio.Event()
    try:
        agents = [asyncio.create_task(_as_node(db, begun, go_on)) for _ in range(MANY)]

        async def as_many_as_may() -> bool:
            return len(begun) == 3

        await eventually(as_many_as_may)
        async with AsyncExitStack() as opened:
            for _ in range(2):
                await opened.enter_async_context(db.transaction())
            assert len(begun) == 3
        go_on.set()
        await asyncio.gather(*agents)
        assert len(begun) == MANY
    finally:
        await db.close()


_PAUSE = Statement(sa.select(sa.literal(1).label("one"), sa.func.pg_sleep(sa.bindparam("seconds", type_=sa.Float))))


async def _ask_as_node(db: Database, seconds: float) -> None:
    call.start(Call(method="", principal=NODE))
    await db.fetch(_PAUSE, seconds=seconds)


async def test_prepared_statements_of_agents_leave_a_connection_to_everybody_else(url: str) -> None:
    """The pauses of the agents take longer together than anybody here would wait."""
    db = Database(url)
    try:
        agents = [asyncio.create_task(_ask_as_node(db, 600)) for _ in range(MANY)]
        await asyncio.sleep(0)
        for _ in range(2):
            [row] = await asyncio.wait_for(db.fetch(_PAUSE, seconds=0.0), 60)
            assert row.one == 1
        for agent in agents:
            agent.cancel()
        await asyncio.gather(*agents, return_exceptions=True)
    finally:
        await db.close()


async def test_an_agent_that_waited_for_too_long_is_told_to_try_again(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.kernel.db._NODES_WAIT_SECONDS", 0.1)
    db, begun, go_on = Database(url, pool_size=3), list[int](), asyncio.Event()
    try:
        first = asyncio.create_task(_as_node(db, begun, go_on))

        async def has_it() -> bool:
            return len(begun) == 1

        await eventually(has_it)
        with pytest.raises(ConnectionError) as refused:
            await _as_node(db, begun, go_on)
        assert translate_database_error(refused.value) is not None
        go_on.set()
        await first
    finally:
        call.start(Call(method=""))
        await db.close()
