"""Writes samples in batches, exports them, and keeps the history short."""

from services.grid_svc.clients.statsd import Statsd
from services.grid_svc.domain.grid import Grid
from services.grid_svc.domain.statsd import gauges
from services.grid_svc.store import grids as grid_store
from services.grid_svc.store import resource_usage as store
from services.grid_svc.usecases.samples import Samples
from services.kernel.db import Database
from services.kernel.logs import get_logger
from services.kernel.principal import NodeSession

log = get_logger(__name__)


class SampleWriter:
    """Samples of the sessions of this replica."""

    def __init__(self, db: Database, samples: Samples, statsd: Statsd) -> None:
        self._db = db
        self._samples = samples
        self._statsd = statsd

    async def turn(self) -> None:
        """Write what waits with one transaction. A failure loses it: the next samples come within a minute."""
        batch = [store.Sample(session, usage, age) for session, usage, age in self._samples.take()]
        if not batch:
            return
        async with self._db.transaction() as tx:
            names = await store.store(tx, batch)
            # In the same transaction: a sample that can be read was not exported to where a later change points.
            grids = await grid_store.read(tx, {session.grid_id for session in names})
        await self._export([sample for sample in batch if sample.session in names], names, grids)

    async def _export(self, batch: list[store.Sample], names: dict[NodeSession, str], grids: list[Grid]) -> None:
        wanted = {grid.id: grid for grid in grids if grid.statsd is not None}
        for sample in batch:
            grid = wanted.get(sample.session.grid_id)
            if grid is not None and grid.statsd is not None:
                await self._statsd.send(grid.statsd, gauges(grid.name, names[sample.session], sample.usage))


async def keep_samples(db: Database, days: int) -> None:
    """Make the partitions of the coming days and drop old ones. Any number of replicas; idempotent."""
    await store.PARTITIONS.prepare(db)
    await store.PARTITIONS.expire(db, days)
