"""Keeps the newest finished deploys of each service and stack and drops the others."""

from services.deploy_svc.store import service_deploys
from services.kernel.db import Database
from services.kernel.logs import get_logger

log = get_logger(__name__)

PERIOD_SECONDS = 300.0
KEPT = 100


async def drop_old_deploys(db: Database) -> None:
    """One turn, by any number of replicas. Unfinished deploys are never dropped."""
    async with db.transaction() as tx:
        dropped = await service_deploys.trim(tx, KEPT)
    if dropped:
        log.info("old deploys dropped", deploys=dropped)
