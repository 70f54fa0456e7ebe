"""A replica looks at the nodes while a session begins: what it read before must not be held against the session."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from services.grid_svc.domain.refusals import SessionRefused
from services.grid_svc.domain.session import NodeDescription
from services.grid_svc.loops.session_sync import SessionSync
from services.grid_svc.usecases.live_sessions import LiveSessions
from services.kernel.db import Database, Tx
from services.kernel.listen import Listener
from tests.integration.grid_svc.agents import joined, session_of
from tests.support.running import Running


class SlowReads(Database):
    """What was read reaches the reader only when `deliver` is set; `looked` says that it was read."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.looked = asyncio.Event()
        self.deliver = asyncio.Event()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Tx]:
        async with super().read() as tx:
            yield tx
        self.looked.set()
        await self.deliver.wait()


@pytest.fixture
async def slow(grid_url: str) -> AsyncIterator[SlowReads]:
    database = SlowReads(grid_url)
    yield database
    await database.close()


@pytest.mark.parametrize("returning", [False, True], ids=["new node", "known node"])
async def test_a_session_that_begins_after_the_look_is_not_judged_by_it(
    grid: Running, slow: SlowReads, token: str, *, returning: bool
) -> None:
    live = LiveSessions(asyncio.get_running_loop().time)
    sync = SessionSync(slow, Listener(slow.url, []), live)
    async with joined(grid.channel, token, 1) as first, joined(grid.channel, token, 2) as older:
        known = live.add(session_of(first), "node-1")
        looking = asyncio.create_task(sync.refresh({known.session.grid_id}))
        await slow.looked.wait()
        async with joined(grid.channel, token, 2 if returning else 3) as agent:
            begun = live.add(session_of(agent), "begun")
            slow.deliver.set()
            await looking
            assert isinstance(await known.next(), NodeDescription)
            # The next look knows the session, and that the older one of the same node is over.
            replaced = live.add(session_of(older), "node-2")
            await sync.refresh({known.session.grid_id})
            assert isinstance(await begun.next(), NodeDescription)
            if returning:
                with pytest.raises(SessionRefused, match="connection conflict"):
                    await replaced.next()
