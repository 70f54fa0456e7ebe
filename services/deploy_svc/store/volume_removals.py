"""Volumes that nodes are still to remove."""

from dataclasses import dataclass

import sqlalchemy as sa

from services.deploy_svc.store.stack_tables import volume_removals
from services.kernel.db import Tx

_t = volume_removals

_AGAIN = sa.text("interval '4 seconds'")


@dataclass(frozen=True, slots=True)
class VolumeRemoval:
    """An engine volume of a node."""

    node_id: str
    name: str


async def claim(tx: Tx, limit: int = 100) -> list[VolumeRemoval]:
    """Those whose time has come; it comes again soon unless they are done by then. One replica has each."""
    due = sa.select(_t.c.node_id, _t.c.name).where(_t.c.due_at <= sa.func.now()).order_by(_t.c.due_at).limit(limit)
    locked = due.with_for_update(skip_locked=True).subquery()
    update = (
        _t.update()
        .where(_t.c.node_id == locked.c.node_id, _t.c.name == locked.c.name)
        .values(due_at=sa.func.now() + _AGAIN)
        .returning(_t.c.node_id, _t.c.name)
    )
    return [VolumeRemoval(row.node_id, row.name) for row in await tx.execute(update)]


async def done(tx: Tx, removal: VolumeRemoval) -> None:
    """The node has no such volume any more."""
    await tx.execute(_t.delete().where(_t.c.node_id == removal.node_id, _t.c.name == removal.name))
