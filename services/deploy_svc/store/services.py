"""Queries and writes of services. Times come from the clock of the database."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.dialects.postgresql import insert as pg_insert

from services.deploy_svc.domain.revision import Note
from services.deploy_svc.domain.service import Service, ServiceState
from services.deploy_svc.domain.service_spec import ServiceSpec
from services.deploy_svc.domain.volume import Mount
from services.deploy_svc.store import revisions, tables
from services.deploy_svc.store.given import of_any
from services.deploy_svc.store.grid_usage import NEW_SERVICES
from services.deploy_svc.store.jsonb import MOUNTS, SPEC, read, to_text
from services.kernel import pages
from services.kernel.db import AnyTx, Database, Tx, run, run_last
from services.kernel.ids import new_id
from services.kernel.members import made_of
from services.kernel.pages import WHOLE, Listing, Page
from services.kernel.statements import Statement, when_committed

_t = tables.services
_key = sa.tuple_(_t.c.stack, _t.c.name)
_BY_AGE = {"created_at": _t.c.created_at, "id": _t.c.id}
_TEXTS = ARRAY(sa.Text)

_NOBODY = Note()
_UNIQUE_NAME = "uq_services_grid_id_stack_name"

_IN_GRID = _t.c.grid_id == sa.bindparam("grid_id")
_AT_PATH = Statement(
    _t.select().where(_IN_GRID, _t.c.stack == sa.bindparam("stack"), _t.c.name == sa.bindparam("name"))
)
_BY_ID = _t.select().where(_t.c.id == sa.bindparam("service_id"))
# The weaker lock lets other services go on linking to it.
_LOCKED = Statement(_BY_ID.with_for_update(key_share=True))
_UNLOCKED = Statement(_BY_ID)
_named = sa.select(_t.c.stack, _t.c.name).where(
    _IN_GRID,
    _key.in_(
        sa.select(
            sa.func.unnest(sa.bindparam("stacks", type_=_TEXTS)), sa.func.unnest(sa.bindparam("names", type_=_TEXTS))
        )
    ),
)
EXISTING = Statement(_named)
# In one order for everybody, so that two transactions never wait for one another.
_EXISTING_LOCKED = Statement(_named.order_by(_t.c.id).with_for_update(read=True, key_share=True, of=_t))
_STACKS = Statement(
    sa.select(_t.c.stack).distinct().where(_IN_GRID, _t.c.stack == sa.any_(sa.bindparam("stacks", type_=_TEXTS)))
)


def _json(name: str) -> sa.ColumnElement[Any]:
    return sa.cast(sa.bindparam(name, type_=sa.Text), JSONB)


def _told(made: sa.CTE, left_out: Collection[str], *, told: bool) -> sa.Select[Any]:
    """Selects what is not known already of what was made, with a message about it or without."""
    columns = [column for column in made.c if column.name not in left_out]
    return tables.outbox.telling(made, *columns) if told else sa.select(*columns)


def _inserting(*, told: bool) -> Statement:
    plain: dict[str, Any] = {name: sa.bindparam(name) for name in ("id", "grid_id", "grid", "stack", "name", "exposed")}
    row = pg_insert(_t).values(**plain, spec=_json("spec"), mounts=_json("mounts"))
    made = row.on_conflict_do_nothing(constraint=_UNIQUE_NAME).returning(_t).cte("made")
    found = _told(made, ("spec", "mounts"), told=told).add_cte(revisions.noting(made))
    return Statement(when_committed(found, lambda given: NEW_SERVICES.note(given["grid_id"])))


def _updating(*, bump: bool, told: bool) -> Statement:
    values: dict[str, Any] = {"spec": _json("new_spec"), "updated_at": sa.func.now()}
    values["mounts"] = sa.func.coalesce(_json("new_mounts"), _t.c.mounts)
    values["exposed"] = sa.func.coalesce(sa.bindparam("new_exposed", type_=sa.Boolean), _t.c.exposed)
    if bump:
        values["revision"] = _t.c.revision + 1
    change = _t.update().where(_t.c.id == sa.bindparam("service_id")).values(values)
    made = change.returning(_t).cte("made")
    found = _told(made, ("spec",), told=told)
    return Statement(found.add_cte(revisions.noting(made), revisions.trimming(made)) if bump else found)


_INSERT = {told: _inserting(told=told) for told in (False, True)}
_UPDATE = {(bump, told): _updating(bump=bump, told=told) for bump in (False, True) for told in (False, True)}


def row_to_service(row: Any) -> Service:
    """The domain object of a row with all columns of `services`."""
    return made_of(Service, row, spec=read(SPEC, row.spec), mounts=read(MOUNTS, row.mounts))


async def find(tx: AnyTx, grid_id: str, stack: str, name: str) -> Service | None:
    """The service at a path."""
    return _first(await run(tx, _AT_PATH, grid_id=grid_id, stack=stack, name=name))


async def at_path(db: Database, grid_id: str, stack: str, name: str) -> Service | None:
    """The same, as it is now."""
    return _first(await db.fetch(_AT_PATH, grid_id=grid_id, stack=stack, name=name))


async def find_by_id(tx: AnyTx, service_id: str, *, lock: bool = False) -> Service | None:
    """The service with a record id; with `lock`, nobody else changes or deletes it before the transaction ends."""
    return _first(await run(tx, _LOCKED if lock else _UNLOCKED, service_id=service_id))


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
    tx: AnyTx, grid_id: str, keys: Collection[tuple[str, str]], *, lock: bool = False
) -> set[tuple[str, str]]:
    """Those of the (stack, name) pairs that exist; with `lock`, they cannot be deleted before the transaction ends."""
    if not keys:
        return set()
    asked = {"stacks": [stack for stack, _ in keys], "names": [name for _, name in keys]}
    rows = await run(tx, _EXISTING_LOCKED if lock else EXISTING, grid_id=grid_id, **asked)
    return {(row.stack, row.name) for row in rows}


async def stacks(tx: AnyTx, grid_id: str, names: Iterable[str]) -> set[str]:
    """Those of the stack names that have services."""
    return {row.stack for row in await run(tx, _STACKS, grid_id=grid_id, stacks=list(names))}


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
    tx: AnyTx,
    *,
    grid_id: str,
    grid: str,
    stack: str,
    name: str,
    spec: ServiceSpec,
    mounts: Iterable[Mount] = (),
    exposed: bool = False,
    note: Note = _NOBODY,
    service_id: str = "",
    message: Mapping[str, str] | None = None,
) -> Service | None:
    """A new service in state `initialized`, revision 1, which is noted; None when the name is taken. With a `message`
    about it, which is of the same statement, it is the last statement of its transaction."""
    mounts = tuple(mounts)
    plain = {"grid_id": grid_id, "grid": grid, "stack": stack, "name": name, "exposed": exposed}
    values = {"id": service_id or new_id(), **plain, "spec": to_text(SPEC, spec), "mounts": to_text(MOUNTS, mounts)}
    if message is None:
        rows = await run(tx, _INSERT[False], **values, author=note.author)
    else:
        rows = await run_last(tx, _INSERT[True], **values, author=note.author, **message)
    return made_of(Service, rows[0], spec=spec, mounts=mounts) if rows else None


async def update(
    tx: AnyTx,
    service_id: str,
    spec: ServiceSpec,
    *,
    bump: bool,
    mounts: Iterable[Mount] | None = None,
    exposed: bool | None = None,
    note: Note = _NOBODY,
    message: Mapping[str, str] | None = None,
) -> Service:
    """Store a changed spec, and a `message` about it; `bump` raises the revision, and notes the new one. Call with the
    row locked."""
    values: dict[str, Any] = {"service_id": service_id, "new_spec": to_text(SPEC, spec), "new_exposed": exposed}
    values["new_mounts"] = None if mounts is None else to_text(MOUNTS, tuple(mounts))
    noted = {"author": note.author, "kept": note.kept} if bump else {}
    [row] = await run(tx, _UPDATE[bump, message is not None], **values, **noted, **message or {})
    return made_of(Service, row, spec=spec, mounts=read(MOUNTS, row.mounts))


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


def _where(service_id: str) -> sa.Update:
    return _t.update().where(_t.c.id == service_id)


def _first(rows: Sequence[Any]) -> Service | None:
    return row_to_service(rows[0]) if rows else None


async def _one(tx: Tx, query: sa.Select[Any]) -> Service | None:
    row = (await tx.execute(query)).one_or_none()
    return None if row is None else row_to_service(row)
