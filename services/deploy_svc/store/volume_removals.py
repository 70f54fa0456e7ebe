"""Volumes that nodes are still to remove."""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from services.deploy_svc.store.stack_tables import volume_removals
from services.kernel.db import Tx

_t = volume_removals

# Longer than a node is asked for one.
_CLAIMED = sa.text("interval '30 seconds'")
_AGAIN = sa.text("interval '4 seconds'")


@dataclass(frozen=True, slots=True)
class VolumeRemoval:
    """An engine volume of a node, and until when it is claimed."""

    node_id: str
    name: str
    until: datetime


async def claim(tx: Tx, limit: int) -> list[VolumeRemoval]:
    """Those whose time has come. One replica has each, for half a minute."""
    due = sa.select(_t.c.node_id, _t.c.name).where(_t.c.due_at <= sa.func.now()).order_by(_t.c.due_at).limit(limit)
    locked = due.with_for_update(skip_locked=True).subquery()
    update = (
        _t.update()
        .where(_t.c.node_id == locked.c.node_id, _t.c.name == locked.c.name)
        .values(due_at=sa.func.now() + _CLAIMED)
        .returning(_t.c.node_id, _t.c.name, _t.c.due_at)
    )
    return [VolumeRemoval(row.node_id, row.name, row.due_at) for row in await tx.execute(update)]


async def again(tx: Tx, removal: VolumeRemoval) -> None:
    """The node has the volume still: ask it again soon."""
    await tx.execute(_t.update().where(*_same(removal)).values(due_at=sa.func.now() + _AGAIN))


async def done(tx: Tx, removal: VolumeRemoval) -> None:
    """The node has no such volume any more."""
    await tx.execute(_t.delete().where(*_same(removal)))


def _same(removal: VolumeRemoval) -> tuple[sa.ColumnElement[bool], ...]:
    # Not one that was queued since: a volume of that name may have come and gone.
    return _t.c.node_id == removal.node_id, _t.c.name == removal.name, _t.c.due_at == removal.until
