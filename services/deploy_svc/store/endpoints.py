"""Endpoints: what of the instances may be connected to."""

from collections import defaultdict
from collections.abc import Collection

import sqlalchemy as sa

from services.deploy_svc.domain.endpoint import Endpoint
from services.deploy_svc.store.tables import instances
from services.kernel.db import Tx

_pod = instances.c.pod
_READY = (
    instances.c.state == "running",
    instances.c.desired_state == "running",
    instances.c.node_id.is_not(None),
    instances.c.address.is_not(None),
    # A check that has not said anything yet has not said that all is well.
    sa.or_(_pod["health_check"].astext.is_(None), instances.c.health == "healthy"),
)


async def of_grids(tx: Tx, grid_ids: Collection[str]) -> dict[str, dict[str, Endpoint]]:
    """All endpoints of the grids by grid and instance id. One query."""
    found: dict[str, dict[str, Endpoint]] = defaultdict(dict)
    for grid_id, endpoint in await _read(tx, instances.c.grid_id.in_(grid_ids)):
        found[grid_id][endpoint.instance_id] = endpoint
    return found


async def of_instances(tx: Tx, ids: Collection[str]) -> dict[str, Endpoint]:
    """Those of the instances that may be connected to, by id."""
    return {endpoint.instance_id: endpoint for _, endpoint in await _read(tx, instances.c.id.in_(ids))}


async def _read(tx: Tx, condition: sa.ColumnElement[bool]) -> list[tuple[str, Endpoint]]:
    labels = _pod["labels"]
    query = sa.select(
        instances.c.grid_id,
        instances.c.id,
        instances.c.node_id,
        instances.c.address,
        labels["io.kontena.service.name"].astext.label("service"),
        labels["io.kontena.stack.name"].astext.label("stack"),
        _pod["hostname"].astext.label("hostname"),
        _pod["domainname"].astext.label("domainname"),
        _pod["exposed"].astext.label("exposed"),
    ).where(condition, *_READY)
    return [
        (
            row.grid_id,
            Endpoint(
                instance_id=row.id,
                service=row.service or "",
                stack=row.stack or "",
                hostname=row.hostname or "",
                domainname=row.domainname or "",
                exposed=row.exposed == "true",
                address=row.address,
                node_id=row.node_id,
            ),
        )
        for row in await tx.execute(query)
    ]
