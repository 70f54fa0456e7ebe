"""Keeps the newest finished deploys of each service and stack and drops the others."""

from services.deploy_svc.store import service_deploys
from services.kernel.db import Database
from services.kernel.logs import get_logger

log = get_logger(__name__)

PERIOD_SECONDS = 300.0
KEPT = 100


class DeployHistory:
    """Any number of replicas; idempotent."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def turn(self) -> None:
        """Drop what is too old. Unfinished deploys are never dropped."""
        async with self._db.transaction() as tx:
            dropped = await service_deploys.trim(tx, KEPT)
        if dropped:
            log.info("old deploys dropped", deploys=dropped)
