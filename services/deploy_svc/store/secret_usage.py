"""Which services use secrets, certificates and configs, and the redeploys that a changed one asks for."""

from collections.abc import Collection, Sequence
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB, array
from sqlalchemy.dialects.postgresql import insert as pg_insert

from services.deploy_svc.domain.service import Service
from services.deploy_svc.domain.service_deploy import Asked
from services.deploy_svc.domain.watch import VaultUser
from services.deploy_svc.store import tables
from services.deploy_svc.store.service_deploys import asked_columns
from services.deploy_svc.store.services import row_to_service
from services.kernel.db import Tx, notify

_t = tables.services
_d = tables.service_deploys

# NOTIFY channel; the payload is a service id. Triggers send it.
VAULT_USERS = "deploy_vault_users"

# The list in the spec of a service, and the member that names what is used.
Usage = Literal["secrets", "certificates", "configs"]
_MEMBER: dict[Usage, str] = {"secrets": "secret", "certificates": "subject", "configs": "config"}


async def users(tx: Tx, grid_id: str, usage: Usage, names: Collection[str]) -> list[tuple[str, str, str, str]]:
    """(used name, grid, stack, service) of every use of the names in a grid, in one query, sorted."""
    used = sa.func.jsonb_array_elements(_t.c.spec[usage]).table_valued(sa.column("value", JSONB)).render_derived()
    name = used.c.value[_MEMBER[usage]].astext
    query = (
        sa.select(name, _t.c.grid, _t.c.stack, _t.c.name)
        .select_from(_t.join(used, sa.true()))
        .where(_t.c.grid_id == grid_id, name.in_(names))
        .distinct()
        .order_by(name, _t.c.stack, _t.c.name)
    )
    return [(row[0], row[1], row[2], row[3]) for row in await tx.execute(query)]


async def vault_users(tx: Tx, service_ids: Collection[str] | None) -> list[VaultUser]:
    """The services that use a secret, of these or of all, in one query."""
    used = sa.func.jsonb_array_elements(_t.c.spec["secrets"]).table_valued(sa.column("value", JSONB)).render_derived()
    name = used.c.value[_MEMBER["secrets"]].astext
    query = (
        sa.select(_t.c.id, _t.c.grid_id, _t.c.grid, _t.c.stack, _t.c.name, sa.func.array_agg(name.distinct()))
        .select_from(_t.join(used, sa.true()))
        .where(sa.true() if service_ids is None else _t.c.id.in_(service_ids))
        .group_by(_t.c.id)
    )
    return [
        VaultUser(row[0], row[1], f"{row.grid}/{row.stack}/{row.name}", row.name, tuple(sorted(row[5])))
        for row in await tx.execute(query)
    ]


async def using(tx: Tx, grid_id: str, usage: Usage, names: Collection[str]) -> list[Service]:
    """The services that use any of the names."""
    uses = [_t.c.spec.contains({usage: [{_MEMBER[usage]: name}]}) for name in names]
    return [row_to_service(row) for row in await tx.execute(_t.select().where(_t.c.grid_id == grid_id, sa.or_(*uses)))]


async def lock_users(tx: Tx, grid_id: str, usage: Usage, name: str) -> list[Service]:
    """The services that use the name. Nobody changes, deletes or deploys them before the transaction ends."""
    query = (
        _t.select()
        .where(_t.c.grid_id == grid_id, _t.c.spec.contains({usage: [{_MEMBER[usage]: name}]}))
        # In one order for everybody, so that two transactions never wait for one another.
        .order_by(_t.c.id)
        .with_for_update(key_share=True)
    )
    return [row_to_service(row) for row in await tx.execute(query)]


async def lock_service(tx: Tx, grid_id: str, stack: str, name: str) -> Service | None:
    """One service, locked in the same way."""
    query = _t.select().where(_t.c.grid_id == grid_id, _t.c.stack == stack, _t.c.name == name)
    row = (await tx.execute(query.with_for_update(key_share=True))).one_or_none()
    return None if row is None else row_to_service(row)


async def with_deploy(tx: Tx, deploy_ids: Collection[str]) -> set[str]:
    """Those of the deploys that exist."""
    return set((await tx.execute(sa.select(_d.c.id).where(_d.c.id.in_(deploy_ids)))).scalars())


async def about_to_deploy(tx: Tx, service_ids: Collection[str]) -> set[str]:
    """Services with a deploy that has not started: it will use what they are when it does. Call with them locked."""
    query = sa.select(_d.c.service_id).where(
        _d.c.service_id.in_(service_ids), _d.c.state == "created", _d.c.started_at.is_(None), _d.c.finished_at.is_(None)
    )
    return set((await tx.execute(query)).scalars())


async def bump(tx: Tx, service_ids: Collection[str]) -> None:
    """Raise the revision, so that the next deploy recreates the containers."""
    if service_ids:
        change = _t.update().where(_t.c.id.in_(service_ids))
        await tx.execute(change.values(revision=_t.c.revision + 1, updated_at=sa.func.now()))


async def queue(tx: Tx, deploys: Sequence[tuple[str, str]], asked: Asked) -> None:
    """Queue deploys with these (deploy, service) ids; those that are queued already stay as they are."""
    if not deploys:
        return
    why = asked_columns(asked)
    rows: list[dict[str, Any]] = [{"id": deploy, "service_id": service, **why} for deploy, service in deploys]
    await tx.execute(pg_insert(_d).values(rows).on_conflict_do_nothing(index_elements=[_d.c.id]))
    services = [service for _, service in deploys]
    await tx.execute(_t.update().where(_t.c.id.in_(services)).values(deployed_at=sa.func.now()))
    for service in services:
        await notify(tx, tables.SERVICE_CHANGED, service)


async def deploy_states(tx: Tx, grid_id: str, deploy_ids: Collection[str]) -> dict[str, str]:
    """States by id of the deploys that belong to services of the grid."""
    wanted = sa.any_(array(sorted(deploy_ids), type_=sa.String))
    query = (
        sa.select(_d.c.id, _d.c.state)
        .join(_t, _t.c.id == _d.c.service_id)
        .where(_t.c.grid_id == grid_id, _d.c.id == wanted)
    )
    return {row.id: row.state for row in await tx.execute(query)}
