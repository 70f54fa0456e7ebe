"""Reading container logs, once or as they arrive (spec/deploy_rest.md section 7)."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

from services.deploy_svc.domain.log_line import StoredLine
from services.deploy_svc.domain.log_query import LogQuery
from services.deploy_svc.domain.service import Service
from services.deploy_svc.store import container_logs as store
from services.deploy_svc.usecases.log_wakes import LogWakes
from services.deploy_svc.usecases.service_paths import Access
from services.kernel.db import Database
from services.kernel.principal import Principal

_FOLLOW_BATCH = 300
_KEEP_ALIVE_SECONDS = 0.5
# Notifications wake a follower; this is for those that were lost.
_POLL_SECONDS = 5.0
# A busy grid notifies more often than a follower needs to look.
_SHORTEST_PAUSE = 0.05


class ContainerLogs:
    """The use cases."""

    def __init__(self, db: Database, access: Access, wakes: LogWakes) -> None:
        self._db = db
        self._access = access
        self._wakes = wakes

    async def service(self, principal: Principal, path: str) -> Service:
        """The service whose lines are read: every check happens here, before the first line leaves."""
        return (await self._access.readable(principal, path))[1]

    async def read(self, service: Service, query: LogQuery) -> list[StoredLine]:
        """The selected lines, oldest first."""
        async with self._db.read() as tx:
            return await store.select(tx, service.id, query)

    async def follow(self, service: Service, query: LogQuery) -> AsyncIterator[list[StoredLine]]:
        """The selected lines, then new ones as they arrive, for ever. An empty list means that nothing happened."""
        with self._wakes.subscribe(service.grid_id) as wake:
            last, lines = await self._begin(service, query)
            clock = asyncio.get_running_loop()
            while True:
                if lines:
                    yield lines
                    query = replace(query, since=None)
                if len(lines) < _FOLLOW_BATCH:
                    looked = clock.time()
                    while not await _woken(wake, _KEEP_ALIVE_SECONDS) and clock.time() < looked + _POLL_SECONDS:
                        yield []
                    await asyncio.sleep(max(0.0, looked + _SHORTEST_PAUSE - clock.time()))
                wake.clear()
                last, lines = await self._next(service, query, last)

    async def _begin(self, service: Service, query: LogQuery) -> tuple[int, list[StoredLine]]:
        if query.after is not None:
            return await self._next(service, query, query.after)
        async with self._db.read() as tx:
            # Read first: a line that arrives in between is selected below or comes after this id.
            newest = await store.newest_id(tx, service.id)
            lines = await store.select(tx, service.id, query)
        return (lines[-1].id if lines else newest), lines

    async def _next(self, service: Service, query: LogQuery, last: int) -> tuple[int, list[StoredLine]]:
        wanted = replace(query, after=last, limit=_FOLLOW_BATCH)
        async with self._db.read() as tx:
            newest = await store.newest_id(tx, service.id) if query.filtered else 0
            lines = await store.select(tx, service.id, wanted)
        if len(lines) == _FOLLOW_BATCH or newest <= last:
            return (lines[-1].id if lines else last), lines
        # Lines that the filters left out are not looked at again.
        return max(newest, lines[-1].id if lines else 0), lines


async def _woken(wake: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await wake.wait()
    except TimeoutError:
        return False
    return True
