"""Finished deploys that nobody needs any more."""

import sqlalchemy as sa

from services.deploy_svc.store.tables import service_deploys
from services.kernel.db import Tx


async def trim(tx: Tx, keep: int) -> int:
    """Of each service keep the newest `keep` finished deploys; unfinished ones stay. Returns how many went."""
    table = service_deploys.c
    ranked = (
        sa.select(
            table.id, sa.func.row_number().over(partition_by=table.service_id, order_by=table.seq.desc()).label("n")
        )
        .where(table.finished_at.is_not(None))
        .subquery()
    )
    old = sa.select(ranked.c.id).where(ranked.c.n > keep)
    return (await tx.execute(service_deploys.delete().where(table.id.in_(old)))).rowcount
