"""Queries and writes of services. Times come from the clock of the database."""

from collections.abc import Collection, Iterable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert as pg_insert

from services.deploy_svc.domain.revision import Note
from services.deploy_svc.domain.service import Service, ServiceState
from services.deploy_svc.domain.service_spec import ServiceSpec
from services.deploy_svc.domain.volume import Mount
from services.deploy_svc.store import revisions, tables
from services.deploy_svc.store.given import of_any
from services.deploy_svc.store.jsonb import MOUNTS, SPEC, to_json
from services.kernel import pages
from services.kernel.db import Tx
from services.kernel.ids import new_id
from services.kernel.members import made_of
from services.kernel.pages import WHOLE, Listing, Page

_t = tables.services
_key = sa.tuple_(_t.c.stack, _t.c.name)
_BY_AGE = {"created_at": _t.c.created_at, "id": _t.c.id}

_NOBODY = Note()
_UNIQUE_NAME = "uq_services_grid_id_stack_name"


def row_to_service(row: Any) -> Service:
    """The domain object of a row with all columns of `services`."""
    spec, mounts = SPEC.validate_python(row.spec), MOUNTS.validate_python(row.mounts)
    return made_of(Service, row, spec=spec, mounts=mounts)


async def find(tx: Tx, grid_id: str, stack: str, name: str) -> Service | None:
    """The service at a path."""
    condition = sa.and_(_t.c.grid_id == grid_id, _t.c.stack == stack, _t.c.name == name)
    return await _one(tx, _t.select().where(condition))


async def find_by_id(tx: Tx, service_id: str, *, lock: bool = False) -> Service | None:
    """The service with a record id; with `lock`, nobody else changes or deletes it before the transaction ends."""
    query = _t.select().where(_t.c.id == service_id)
    # The weaker lock lets other services go on linking to it.
    return await _one(tx, query.with_for_update(key_share=True) if lock else query)


async def lock_for_deletion(tx: Tx, service_id: str) -> Service | None:
    """As `by_id` with a lock; also waits for, then shuts out, transactions that make another service link to it."""
    return await _one(tx, _t.select().where(_t.c.id == service_id).with_for_update())


async def lock_all(tx: Tx, service_ids: Collection[str]) -> None:
    """Lock services before several of them are written: everybody in the order of ids, so that nobody deadlocks."""
    if len(service_ids) > 1:
        ordered = sa.select(_t.c.id).where(_t.c.id.in_(service_ids)).order_by(_t.c.id)
        await tx.execute(ordered.with_for_update(key_share=True))


async def of_grid(tx: Tx, grid_id: str, stack: str | None = None, page: Page = WHOLE) -> Listing[Service]:
    """The services of a grid, newest first; only those of one stack when it is given."""
    query = _t.select().where(_t.c.grid_id == grid_id)
    if stack is not None:
        query = query.where(_t.c.stack == stack)
    return await pages.read(tx, query, _BY_AGE, page, row_to_service, newest_first=True)


async def existing(
    tx: Tx, grid_id: str, keys: Collection[tuple[str, str]], *, lock: bool = False
) -> set[tuple[str, str]]:
    """Those of the (stack, name) pairs that exist; with `lock`, they cannot be deleted before the transaction ends."""
    if not keys:
        return set()
    query = sa.select(_t.c.stack, _t.c.name).where(_t.c.grid_id == grid_id, _key.in_(sorted(set(keys))))
    if lock:
        # In one order for everybody, so that two transactions never wait for one another.
        query = query.order_by(_t.c.id).with_for_update(read=True, key_share=True)
    return {(row.stack, row.name) for row in await tx.execute(query)}


async def stacks(tx: Tx, grid_id: str, names: Iterable[str]) -> set[str]:
    """Those of the stack names that have services."""
    query = sa.select(_t.c.stack).distinct().where(_t.c.grid_id == grid_id, _t.c.stack.in_(sorted(set(names))))
    return set((await tx.execute(query)).scalars())


async def resolve(tx: Tx, grid_id: str, wanted: Collection[str]) -> set[str]:
    """Record ids of those that exist of `stack/service` and of plain names: these mean the first service with the name,
    whatever its stack."""
    pairs = {(stack, name) for stack, slash, name in (text.partition("/") for text in wanted) if slash}
    plain = {text for text in wanted if "/" not in text}
    query = sa.select(_t.c.id, _t.c.stack, _t.c.name).where(
        _t.c.grid_id == grid_id, sa.or_(_key.in_(sorted(pairs)), _t.c.name.in_(sorted(plain)))
    )
    found: set[str] = set()
    for row in await tx.execute(query.order_by(_t.c.created_at, _t.c.id)):
        if (row.stack, row.name) in pairs:
            found.add(row.id)
        if row.name in plain:
            plain.discard(row.name)
            found.add(row.id)
    return found


async def linkers(tx: Tx, grid_id: str, stack: str, name: str) -> list[str]:
    """`stack/service` of every other service that links to this one, sorted."""
    link = {"links": [{"stack": stack, "service": name}]}
    query = (
        sa.select(_t.c.stack, _t.c.name)
        .where(_t.c.grid_id == grid_id, _t.c.spec.contains(link))
        .where(sa.not_(sa.and_(_t.c.stack == stack, _t.c.name == name)))
        .order_by(_t.c.stack, _t.c.name)
    )
    return [f"{row.stack}/{row.name}" for row in await tx.execute(query)]


async def insert(
    tx: Tx,
    *,
    grid_id: str,
    grid: str,
    stack: str,
    name: str,
    spec: ServiceSpec,
    mounts: Iterable[Mount] = (),
    exposed: bool = False,
    note: Note = _NOBODY,
) -> Service | None:
    """A new service in state `initialized`, revision 1, which is noted; None when the name is taken."""
    values: dict[str, Any] = {"id": new_id(), "grid_id": grid_id, "grid": grid, "stack": stack, "name": name}
    values |= {"spec": to_json(SPEC, spec), "exposed": exposed}
    values["mounts"] = to_json(MOUNTS, tuple(mounts))
    statement = pg_insert(_t).values(values).on_conflict_do_nothing(constraint=_UNIQUE_NAME).returning(_t)
    row = (await tx.execute(revisions.noted(statement, note))).one_or_none()
    return None if row is None else row_to_service(row)


async def update(
    tx: Tx,
    service_id: str,
    spec: ServiceSpec,
    *,
    bump: bool,
    mounts: Iterable[Mount] | None = None,
    exposed: bool | None = None,
    note: Note = _NOBODY,
) -> Service:
    """Store a changed spec; `bump` raises the revision, and notes the new one. Call with the row locked."""
    values: dict[str, Any] = {"spec": to_json(SPEC, spec), "updated_at": sa.func.now()}
    if mounts is not None:
        values["mounts"] = to_json(MOUNTS, tuple(mounts))
    if exposed is not None:
        values["exposed"] = exposed
    if bump:
        values["revision"] = _t.c.revision + 1
    statement = _where(service_id).values(values).returning(_t)
    return row_to_service((await tx.execute(revisions.noted(statement, note) if bump else statement)).one())


async def request_deploy(tx: Tx, *service_ids: str, bump: bool) -> None:
    """Note that deploys were asked for: the services should run. `bump` makes instances be recreated."""
    values: dict[str, Any] = {"state": "running", "deployed_at": sa.func.now(), "updated_at": sa.func.now()}
    if bump:
        values["revision"] = _t.c.revision + 1
    await tx.execute(_t.update().where(of_any(_t.c.id, service_ids)).values(values))


async def set_state(tx: Tx, service_id: str, state: ServiceState) -> None:
    """Set the desired state; `updated_at` stays, as nothing of the spec changed."""
    await tx.execute(_where(service_id).values(state=state))


async def set_stack_revision(tx: Tx, service_ids: Collection[str], revision: int) -> None:
    """Note which revision of their stack deploys the services; `updated_at` stays."""
    await tx.execute(_t.update().where(_t.c.id.in_(service_ids)).values(stack_revision=revision))


async def delete(tx: Tx, service_id: str) -> None:
    """Remove a service with its instances and deploys; logs stay."""
    await tx.execute(_t.delete().where(_t.c.id == service_id))


async def ids_of_grid(tx: Tx, grid_id: str) -> list[str]:
    """Record ids of the services of a grid, locked for deletion."""
    query = sa.select(_t.c.id).where(_t.c.grid_id == grid_id).order_by(_t.c.id).with_for_update()
    return list((await tx.execute(query)).scalars())


async def grids(tx: Tx) -> dict[str, str]:
    """Names by id of the grids that have services."""
    return {row.grid_id: row.grid for row in await tx.execute(sa.select(_t.c.grid_id, _t.c.grid).distinct())}


def _where(service_id: str) -> sa.Update:
    return _t.update().where(_t.c.id == service_id)


async def _one(tx: Tx, query: sa.Select[Any]) -> Service | None:
    row = (await tx.execute(query)).one_or_none()
    return None if row is None else row_to_service(row)
