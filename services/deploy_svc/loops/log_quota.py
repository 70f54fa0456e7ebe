"""Keeps the logs of each grid within its quota, and those of all grids within theirs: the oldest lines go first."""

from services.deploy_svc.domain.log_room import most_of_one
from services.deploy_svc.loops.log_retention import forget_segments
from services.deploy_svc.store import log_usage
from services.kernel import locks
from services.kernel.db import Database
from services.kernel.logs import get_logger

log = get_logger(__name__)

PERIOD_SECONDS = 10.0
# Some room at once, so that a grid at its quota is not trimmed with every line.
_TRIMMED_TO = 0.95


class LogQuota:
    """Any number of replicas may run it; each step is a short transaction of its own."""

    def __init__(self, db: Database, quota: int, total: int) -> None:
        self._db = db
        self._quota = quota
        self._total = total

    async def turn(self) -> None:
        """Trim the grids that are above the quota, or above their share of what is there for all."""
        async with self._db.read() as tx:
            used = await log_usage.of_grids(tx)
        most = most_of_one(used.values(), self._quota, self._total)
        grids = sorted(grid_id for grid_id, size in used.items() if size > most)
        for grid_id in grids:
            log.warning(
                "too many logs: removing the oldest lines of a grid", grid_id=grid_id, has=used[grid_id], may=most
            )
        removes = bool(grids)
        goal = most_of_one(used.values(), int(self._quota * _TRIMMED_TO), int(self._total * _TRIMMED_TO))
        while grids:
            for grid_id in grids:
                async with self._db.transaction() as tx:
                    await locks.hold(tx, locks.CONTAINER_LOGS, grid_id)
                    await log_usage.remove_oldest(tx, grid_id)
            async with self._db.read() as tx:
                used = await log_usage.of_grids(tx)
            grids = [grid_id for grid_id in grids if used.get(grid_id, 0) > goal]
        if removes:
            await forget_segments(self._db)
