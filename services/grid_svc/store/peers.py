"""What the nodes of a grid must know of one another."""

from collections.abc import Collection

import sqlalchemy as sa

from services.grid_svc.domain.grid import overlay_ip
from services.grid_svc.domain.network import Blocks, Member
from services.grid_svc.domain.node import region
from services.grid_svc.store import rows
from services.grid_svc.store.tables import grids, nodes
from services.kernel.db import Tx
from services.kernel.members import made_of

_COLUMNS = (
    nodes.c.id,
    nodes.c.grid_id,
    nodes.c.name,
    nodes.c.node_number,
    nodes.c.labels,
    nodes.c.public_ip,
    nodes.c.private_ip,
    nodes.c.public_key,
    nodes.c.wireguard_port,
    nodes.c.vxlan_port,
    grids.c.subnet,
    grids.c.node_prefix,
)


async def of_grids(tx: Tx, grid_ids: Collection[str]) -> dict[str, dict[str, Member]]:
    """All nodes of the grids by grid and id. One query."""
    found: dict[str, dict[str, Member]] = {grid_id: {} for grid_id in grid_ids}
    for grid_id, member in await _read(tx, nodes.c.grid_id.in_(grid_ids)):
        found[grid_id][member.id] = member
    return found


async def read(tx: Tx, ids: Collection[str]) -> list[tuple[str, Member]]:
    """The nodes with these record ids, each with its grid."""
    return await _read(tx, nodes.c.id.in_(ids))


async def _read(tx: Tx, condition: sa.ColumnElement[bool]) -> list[tuple[str, Member]]:
    query = sa.select(*_COLUMNS).join(grids, grids.c.id == nodes.c.grid_id).where(condition)
    blocks: dict[tuple[str, int | None], Blocks] = {}
    found = []
    for row in await tx.execute(query.order_by(nodes.c.node_number)):
        key = (row.subnet, row.node_prefix)
        if key not in blocks:
            blocks[key] = Blocks(*key)
        member = made_of(
            Member,
            row,
            region=region(row.labels),
            network=rows.row_to_network(row),
            block=blocks[key].of(row.node_number),
            overlay_ip=overlay_ip(row.subnet, row.node_number),
        )
        found.append((row.grid_id, member))
    return found
