"""Grids in Postgres."""

import hmac
from collections.abc import Collection
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert as pg_insert

from services.grid_svc.domain.grid import Grid, Logs, Statsd
from services.grid_svc.domain.join_token import StoredToken, digest
from services.grid_svc.domain.network import Network
from services.grid_svc.store import join_tokens
from services.grid_svc.store.tables import grids, nodes
from services.kernel import pages
from services.kernel.db import Database, Tx, run, unless_taken
from services.kernel.kept import Version, version_columns
from services.kernel.members import made_of
from services.kernel.pages import Listing, Page
from services.kernel.statements import Statement

_UNIQUE_TOKEN = "uq_grids_token_digest"  # noqa: S105 -- a constraint.

_BY_NAME = grids.c.name.collate("C")


async def with_node_counts(tx: Tx, ids: Collection[str] | None, page: Page) -> Listing[tuple[Grid, int]]:
    """Grids sorted by name, each with its number of nodes; `ids` None means all. One query."""
    count = sa.select(sa.func.count()).where(nodes.c.grid_id == grids.c.id).scalar_subquery().label("node_count")
    query = sa.select(grids, count)
    if ids is not None:
        query = query.where(grids.c.id.in_(ids))
    return await pages.read(tx, query, {"name": _BY_NAME}, page, lambda row: (_grid(row), row.node_count))


async def read(tx: Tx, ids: Collection[str] | None) -> list[Grid]:
    """Grids with these ids, or all."""
    query = sa.select(grids) if ids is None else sa.select(grids).where(grids.c.id.in_(ids))
    return [_grid(row) for row in await tx.execute(query)]


_CURRENT = Statement(
    sa.select(
        grids.c.id,
        *version_columns(grids),
        sa.select(sa.func.count()).where(nodes.c.grid_id == grids.c.id).scalar_subquery().label("node_count"),
    ).where(grids.c.name == sa.bindparam("name"))
)


async def current(db: Database, name: str) -> tuple[str, Version, int] | None:
    """Id, version and number of nodes of the grid called `name`."""
    rows = await db.fetch(_CURRENT, name=name)
    return next(((row.id, (row.xmin, row.ctid), row.node_count) for row in rows), None)


async def with_versions(tx: Tx, ids: Collection[str]) -> list[tuple[str, Version, Grid]]:
    """Grids by id with the versions that they have now."""
    query = sa.select(grids, *version_columns(grids)).where(grids.c.id.in_(ids))
    return [(row.id, (row.xmin, row.ctid), _grid(row)) for row in await tx.execute(query)]


async def find(tx: Tx, name: str) -> Grid | None:
    """The grid called `name`."""
    return _one((await tx.execute(sa.select(grids).where(grids.c.name == name))).first())


async def find_by_token(tx: Tx, token: str) -> Grid | None:
    """The grid whose join token is `token`: found by digest, then compared in constant time."""
    row = (await tx.execute(sa.select(grids).where(grids.c.token_digest == digest(token)))).first()
    return _grid(row) if row is not None and hmac.compare_digest(row.token_digest, digest(token)) else None


_LOCKED_BY_TOKEN = Statement(
    sa.select(grids).where(grids.c.token_digest == sa.bindparam("digest")).with_for_update(key_share=True)
)


async def lock_by_token(tx: Tx, token: str) -> Grid | None:
    """As `lock`, the grid whose join token is `token`."""
    return next(map(_grid, await run(tx, _LOCKED_BY_TOKEN, digest=digest(token))), None)


async def rotate_token(tx: Tx, grid_id: str, token: StoredToken) -> Grid | None:
    """Replace the join token of a locked grid; None when another one has it."""
    values = {
        **join_tokens.values(token),
        "version": grids.c.version + 1,
        "updated_at": sa.func.now(),
    }
    statement = grids.update().where(grids.c.id == grid_id).values(values).returning(grids)
    changed = await unless_taken(tx, statement, _UNIQUE_TOKEN)
    return None if changed is None else _grid(changed.one())


async def lock(tx: Tx, grid_id: str) -> Grid | None:
    """The grid, locked until the transaction ends: neither changed nor deleted nor joined by new nodes meanwhile."""
    query = sa.select(grids).where(grids.c.id == grid_id).with_for_update(key_share=True)
    return _one((await tx.execute(query)).first())


async def insert(tx: Tx, grid: Grid) -> Grid | None:
    """Add a grid; None when its name or its token is taken."""
    statement = pg_insert(grids).values(
        id=grid.id, name=grid.name, **_values(grid), **join_tokens.values(grid.stored_token)
    )
    statement = statement.on_conflict_do_nothing()
    return _one((await tx.execute(statement.returning(grids))).first())


async def update(tx: Tx, grid: Grid) -> Grid:
    """Store the attributes of a locked grid."""
    values = {**_values(grid), "version": grids.c.version + 1, "updated_at": sa.func.now()}
    return _grid((await tx.execute(grids.update().where(grids.c.id == grid.id).values(values).returning(grids))).one())


async def delete(tx: Tx, grid_id: str) -> None:
    """Remove a locked grid that has no nodes."""
    await tx.execute(grids.delete().where(grids.c.id == grid_id))


def _values(grid: Grid) -> dict[str, Any]:
    return {
        "initial_size": grid.initial_size,
        "subnet": grid.subnet,
        "supernet": grid.supernet,
        "default_affinity": list(grid.default_affinity),
        "trusted_subnets": list(grid.trusted_subnets),
        "statsd_server": grid.statsd.server if grid.statsd else None,
        "statsd_port": grid.statsd.port if grid.statsd else None,
        "logs_forwarder": grid.logs.forwarder if grid.logs else None,
        "logs_opts": dict(grid.logs.opts) if grid.logs else None,
        "network_mode": grid.network.mode,
        "node_prefix": grid.network.node_prefix,
        "host_access": grid.host_access,
    }


def _one(row: Any) -> Grid | None:
    return None if row is None else _grid(row)


def _grid(row: Any) -> Grid:
    return made_of(
        Grid,
        row,
        token="",
        stored_token=join_tokens.row_to_token(row),
        default_affinity=tuple(row.default_affinity),
        trusted_subnets=tuple(row.trusted_subnets),
        statsd=Statsd(row.statsd_server, row.statsd_port) if row.statsd_server else None,
        logs=Logs(row.logs_forwarder, row.logs_opts or {}) if row.logs_forwarder else None,
        network=Network(row.network_mode, row.node_prefix),
    )
