"""Finished deploys that nobody needs any more."""

from typing import Any

import sqlalchemy as sa

from services.deploy_svc.store.stack_tables import stack_deploys
from services.deploy_svc.store.tables import service_deploys
from services.kernel.db import Tx


async def trim(tx: Tx, keep: int) -> int:
    """Of each service and of each stack keep the newest `keep` finished deploys; unfinished ones stay. Returns how many
    went."""
    own, stack = service_deploys.c, stack_deploys.c
    gone = await _trim(tx, service_deploys, own.service_id, own.seq, keep)
    return gone + await _trim(tx, stack_deploys, stack.stack_id, stack.created_at, keep)


async def _trim(tx: Tx, table: sa.Table, owner: sa.Column[str], age: sa.Column[Any], keep: int) -> int:
    rank = sa.func.row_number().over(partition_by=owner, order_by=age.desc())
    ranked = sa.select(table.c.id, rank.label("n")).where(table.c.finished_at.is_not(None)).subquery()
    old = sa.select(ranked.c.id).where(ranked.c.n > keep)
    return (await tx.execute(table.delete().where(table.c.id.in_(old)))).rowcount
