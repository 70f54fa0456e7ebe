"""Which replica holds the command stream of a node."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert as upsert

from services.deploy_svc.store.container_tables import node_streams
from services.deploy_svc.store.given import given
from services.kernel.db import Tx

_t = node_streams

RENEW_SECONDS = 10.0
_VOID_AFTER = sa.text("interval '30 seconds'")


@dataclass(frozen=True, slots=True)
class Route:
    """A stream and the address of the replica that holds it."""

    stream_id: str
    address: str


async def save(tx: Tx, node_id: str, session: int, route: Route) -> None:
    """This is the node's stream now, unless one of a newer session is stored."""
    insert = upsert(_t).values(node_id=node_id, session=session, stream_id=route.stream_id, address=route.address)
    new = insert.excluded
    changed = {"session": new.session, "stream_id": new.stream_id, "address": new.address, "renewed_at": sa.func.now()}
    await tx.execute(
        insert.on_conflict_do_update(constraint="pk_node_streams", set_=changed, where=_t.c.session <= new.session)
    )


async def renew(tx: Tx, streams: Mapping[str, str]) -> set[str]:
    """Keep streams valid, given with their nodes. Returns those of which another one has taken the place."""
    held = given("held", (_t.c.stream_id, _t.c.node_id), streams.items())
    # Everybody in the same order, so that nobody deadlocks.
    mine = (
        sa.select(_t.c.node_id)
        .where(_t.c.node_id == held.c.node_id, _t.c.stream_id == held.c.stream_id)
        .order_by(_t.c.node_id)
        .with_for_update(of=_t)
        .cte("mine")
    )
    renewed = _t.update().where(_t.c.node_id == mine.c.node_id).values(renewed_at=sa.func.now())
    return streams.keys() - set((await tx.execute(renewed.returning(_t.c.stream_id))).scalars())


async def find(tx: Tx, node_id: str) -> Route | None:
    """The stream of a node; None when it has none."""
    query = sa.select(_t.c.stream_id, _t.c.address).where(
        _t.c.node_id == node_id, _t.c.renewed_at > sa.func.now() - _VOID_AFTER
    )
    row = (await tx.execute(query)).one_or_none()
    return None if row is None else Route(row.stream_id, row.address)


async def remove(tx: Tx, node_id: str, stream_id: str) -> None:
    """The stream ended."""
    await tx.execute(_t.delete().where(_t.c.node_id == node_id, _t.c.stream_id == stream_id))


async def remove_all(tx: Tx, stream_ids: Collection[str]) -> None:
    """The replica that holds these streams is about to stop."""
    await tx.execute(_t.delete().where(_t.c.stream_id.in_(stream_ids)))


async def expire(tx: Tx) -> None:
    """Remove what replicas that died have left."""
    await tx.execute(_t.delete().where(_t.c.renewed_at < sa.func.now() - sa.text("interval '5 minutes'")))
