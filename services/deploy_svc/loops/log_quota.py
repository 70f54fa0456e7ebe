"""Keeps the logs of each grid within its quota: the oldest lines go first."""

from services.deploy_svc.store import container_logs, log_usage
from services.kernel.db import Database
from services.kernel.logs import get_logger

log = get_logger(__name__)

PERIOD_SECONDS = 10.0
# Some room at once, so that a grid at its quota is not trimmed with every line.
_TRIMMED_TO = 0.95


class LogQuota:
    """Any number of replicas may run it; each step is a short transaction of its own."""

    def __init__(self, db: Database, quota: int) -> None:
        self._db = db
        self._quota = quota

    async def turn(self) -> None:
        """Trim the grids that are above the quota."""
        async with self._db.read() as tx:
            grids = await log_usage.above(tx, self._quota)
        for grid_id in grids:
            log.warning("the logs of a grid are above its quota: removing the oldest lines", grid_id=grid_id)
        goal = int(self._quota * _TRIMMED_TO)
        while grids:
            for grid_id in grids:
                async with self._db.transaction() as tx:
                    await container_logs.lock_grid(tx, grid_id)
                    await log_usage.remove_oldest(tx, grid_id)
            async with self._db.read() as tx:
                grids = sorted(set(grids) & set(await log_usage.above(tx, goal)))
