"""NOTIFY channels. Payloads are ids, never data."""

from collections.abc import Iterable

import sqlalchemy as sa
from sqlalchemy.sql.dml import UpdateBase

from services.grid_svc.store import tables
from services.kernel.db import Tx, notify

# Payload: grid id.
GRIDS = "grid_grids"
# Payload: `grid id/node id`. Anything but a sample or a sign of life changed.
NODES = "grid_nodes"
# Payload: `grid id/node id`. A new sample.
NODE_STATS = "grid_node_stats"


async def grid_changed(tx: Tx, grid_id: str) -> None:
    """Tell followers when the transaction commits."""
    await notify(tx, GRIDS, grid_id)


async def nodes_changed(tx: Tx, keys: Iterable[tuple[str, str]]) -> None:
    """Tell followers about nodes, given as (grid id, node id), when the transaction commits."""
    for grid_id, node_id in keys:
        await notify(tx, NODES, f"{grid_id}/{node_id}")


def telling(changed: UpdateBase) -> UpdateBase:
    """`changed`, an insert or update of nodes; followers are told about these nodes on commit.

    One statement where `nodes_changed` would need a second one.
    """
    key = tables.nodes.c.grid_id + "/" + tables.nodes.c.id
    return changed.returning(sa.func.pg_notify(NODES, key).label("told"))


async def nodes_sampled(tx: Tx, keys: Iterable[tuple[str, str]]) -> None:
    """Tell followers about new samples of nodes, given as (grid id, node id), when the transaction commits."""
    payloads = [f"{grid_id}/{node_id}" for grid_id, node_id in keys]
    statement = sa.text("select pg_notify(:channel, payload) from unnest(cast(:payloads as text[])) as payload")
    await tx.execute(statement, {"channel": NODE_STATS, "payloads": payloads})


def grid_of(payload: str) -> str:
    """The grid id in a payload of any of the channels."""
    return payload.partition("/")[0]


def node_of(payload: str) -> str:
    """The node id in a payload of a node channel."""
    return payload.partition("/")[2]
