"""The mirror of containers: written by reports of nodes, read by requests."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.sql.dml import ReturningInsert

from services.deploy_svc.domain.container import Binding, Container, Details, Network, Reported, State
from services.deploy_svc.store import tables
from services.deploy_svc.store.container_tables import containers
from services.deploy_svc.store.given import arrays, given, given_later
from services.kernel import pages
from services.kernel.db import Tx, run
from services.kernel.ids import new_id
from services.kernel.members import made_of, members
from services.kernel.pages import WHOLE, Listing, Page
from services.kernel.principal import NodeSession
from services.kernel.statements import Statement
from services.kernel.storable import to_json

_t = containers
_s = tables.services
_i = tables.instances

_REPORTED = (
    "name",
    "type",
    "service_id",
    "instance_number",
    "running",
    "details",
    "session",
    "created_at",
    "started_at",
    "finished_at",
)
# What a report is stored with, as rows; `details` as text.
_TOLD = (
    _t.c.id,
    _t.c.node_id,
    _t.c.container_id,
    *(sa.column(name, sa.Text if name == "details" else _t.c[name].type) for name in _REPORTED),
)

# The id of a node, and that of a container.
Key = tuple[str, str]


_SECRET_NAMES = Statement(
    sa.select(_s.c.id, _s.c.spec["secrets"], _s.c.spec["certificates"], _i.c.pod["secrets"])
    .select_from(_s.outerjoin(_i, _i.c.service_id == _s.c.id))
    .where(
        _s.c.grid_id == sa.bindparam("grid", type_=_s.c.grid_id.type),
        _s.c.id == sa.any_(sa.bindparam("ids", type_=ARRAY(sa.Text))),
    )
    # Nearly all instances of a service were deployed with the same.
    .distinct()
)


async def secret_names(tx: Tx, grid_id: str, service_ids: Collection[str]) -> dict[str, set[str]]:
    """Names of the variables that carry secrets, by service id, now or in what its instances were deployed with.

    A service that does not belong to the grid is not in the answer.
    """
    names: dict[str, set[str]] = {}
    rows = await run(tx, _SECRET_NAMES, grid=grid_id, ids=sorted(service_ids)) if service_ids else ()
    for service_id, *lists in map(tuple, rows):
        found = {item["name"] for entries in lists for item in entries or ()}
        names.setdefault(service_id, set()).update(found)
    return names


_KEY = (_t.c.node_id, _t.c.container_id)
_asked = given_later("asked", *_KEY)
_KNOWN = Statement(sa.select(*_KEY).where(_t.c.node_id == _asked.c.node_id, _t.c.container_id == _asked.c.container_id))
_COUNTS = Statement(
    sa.select(_t.c.node_id, sa.func.count())
    .where(_t.c.node_id == sa.any_(sa.bindparam("nodes", type_=ARRAY(sa.Text))))
    .group_by(_t.c.node_id)
)


async def known(tx: Tx, keys: Collection[Key]) -> set[Key]:
    """Those of the containers that their nodes reported before."""
    return {(row[0], row[1]) for row in await run(tx, _KNOWN, **arrays(sorted(keys), *_KEY))}


async def counts(tx: Tx, node_ids: Collection[str]) -> dict[str, int]:
    """How many containers of the nodes there are; a node without any is left out."""
    return {row[0]: row[1] for row in await run(tx, _COUNTS, nodes=sorted(node_ids))}


def _saving() -> ReturningInsert[Any]:
    rows = given_later("reported", *_TOLD)
    values: dict[str, sa.ColumnElement[Any]] = {str(column.key): rows.c[str(column.key)] for column in _TOLD}
    values["details"] = sa.cast(rows.c.details, JSONB)
    values["created_at"] = sa.func.coalesce(rows.c.created_at, sa.func.now())
    values["grid_id"] = sa.bindparam("grid_id", type_=_t.c.grid_id.type)
    statement = upsert(_t).from_select(list(values), sa.select(*values.values()))
    new = statement.excluded
    return statement.on_conflict_do_update(
        constraint="uq_containers_node_id_container_id",
        set_={**{name: new[name] for name in _REPORTED}, "updated_at": sa.func.now(), "deleted_at": None},
        where=_t.c.session <= new.session,
    ).returning(_t.c.id)


_SAVE = Statement(_saving())


async def save(tx: Tx, grid_id: str, reported: Sequence[tuple[NodeSession, Reported]]) -> None:
    """Store containers of nodes of a grid as reported, each node by one session. One that was marked lost is back; one
    that a newer session reported stays as it is."""
    newest = {(session.node_id, item.container_id): (session, item) for session, item in reported}
    # Everybody in the same order, so that nobody deadlocks.
    rows = [_row(*newest[key]) for key in sorted(newest)]
    if rows:
        told = arrays((tuple(row[str(column.key)] for column in _TOLD) for row in rows), *_TOLD)
        await run(tx, _SAVE, grid_id=grid_id, **told)


async def keep_only(tx: Tx, session: NodeSession, container_ids: Collection[str]) -> None:
    """Forget the containers of the node that are not among these, unless a newer session reported them. Those that are
    among these and were marked lost are back."""
    present = sa.cast(sorted(container_ids), ARRAY(sa.Text))
    mine = (_t.c.node_id == session.node_id, _t.c.session <= session.number)
    await tx.execute(_t.delete().where(*mine, _t.c.container_id != sa.func.all(present)))
    # With the session, or a late look at the node before it would mark them once more.
    await tx.execute(
        _t.update()
        .where(*mine, _t.c.deleted_at.is_not(None), _t.c.container_id == sa.func.any(present))
        .values(deleted_at=None, session=session.number)
    )


async def remove(tx: Tx, gone: Collection[tuple[NodeSession, str]]) -> None:
    """Forget containers of nodes, unless a newer session reported them."""
    if not gone:
        return
    rows = given("gone", (*_KEY, _t.c.session), ((session.node_id, key, session.number) for session, key in gone))
    await tx.execute(
        _t.delete().where(
            _t.c.node_id == rows.c.node_id, _t.c.container_id == rows.c.container_id, _t.c.session <= rows.c.session
        )
    )


async def mark_lost(tx: Tx, lost: Mapping[str, int]) -> None:
    """Mark the containers of lost nodes (session number by node id); volumes and newer sessions stay as they are."""
    nodes = sa.values(sa.column("node_id", sa.Text), sa.column("session", sa.Integer), name="lost").data(
        sorted(lost.items())
    )
    await tx.execute(
        _t.update()
        .where(_t.c.node_id == nodes.c.node_id, _t.c.session <= nodes.c.session)
        .where(_t.c.deleted_at.is_(None), _t.c.type == "container")
        .values(deleted_at=sa.func.now())
    )


async def forget_nodes(tx: Tx, node_ids: Collection[str]) -> None:
    """Remove the containers of nodes that were removed from their grid."""
    await tx.execute(_t.delete().where(_t.c.node_id.in_(sorted(node_ids))))


async def forget_unknown_nodes(tx: Tx, known: Collection[str]) -> None:
    """Remove containers of none of the known nodes: their node was removed while nobody listened. What was reported a
    moment ago stays, because another replica may know a node that is new."""
    ids = sa.cast(sorted(known), ARRAY(sa.Text))
    minute = sa.text("interval '1 minute'")
    await tx.execute(_t.delete().where(_t.c.node_id != sa.func.all(ids), _t.c.updated_at < sa.func.now() - minute))


async def of_grid(tx: Tx, grid_id: str, page: Page = WHOLE, *, running_only: bool) -> Listing[Container]:
    """The containers of a grid, oldest first; of lost nodes those that ran when they were last seen."""
    condition = sa.and_(_t.c.running, _t.c.type == "container")
    return await _select(tx, _t.c.grid_id == grid_id, condition if running_only else sa.true(), page=page)


async def of_service(tx: Tx, service_id: str, page: Page = WHOLE) -> Listing[Container]:
    """The containers of a service, oldest first."""
    return await _select(tx, _t.c.service_id == service_id, _t.c.type == "container", page=page)


async def find(tx: Tx, node_id: str, name: str) -> Container | None:
    """The container of a node with this name; data containers do not count."""
    named = (_t.c.node_id == node_id, _t.c.name == name, _t.c.type == "container")
    found = await _select(tx, *named)
    return found[-1] if found else None


async def _select(tx: Tx, *where: sa.ColumnElement[bool], page: Page = WHOLE) -> Listing[Container]:
    observed = sa.and_(_i.c.node_id == _t.c.node_id, _i.c.container_id == _t.c.container_id, _i.c.health.is_not(None))
    columns = [column for column in _t.c if column.name != "stats"]
    query = (
        sa.select(*columns, _s.c.stack, _s.c.name.label("service"), _i.c.health, _i.c.updated_at.label("health_at"))
        .select_from(
            _t.outerjoin(_s, _s.c.id == _t.c.service_id).outerjoin(
                _i, sa.and_(_i.c.service_id == _t.c.service_id, observed)
            )
        )
        .where(*where)
    )
    by_age = {"created_at": _t.c.created_at, "name": _t.c.name, "id": _t.c.id}
    return await pages.read(tx, query, by_age, page, _container)


def _row(session: NodeSession, item: Reported) -> dict[str, Any]:
    return {
        **members(item),
        "id": new_id(),
        "node_id": session.node_id,
        "session": session.number,
        "running": item.details.state.running,
        "details": to_json(asdict(item.details)),
    }


def _container(row: Any) -> Container:
    return made_of(
        Container,
        row,
        service=None if row.service is None else (row.stack, row.service),
        lost=row.deleted_at is not None,
        details=_details(row.details),
        health=None if row.health is None else (row.health, row.health_at),
    )


def _details(stored: Mapping[str, Any]) -> Details:
    return Details(
        **{
            **stored,
            "state": State(**stored["state"]),
            "network": Network(**stored["network"]),
            "ports": [Binding(**binding) for binding in stored["ports"]],
            "volumes": [(volume[0], volume[1]) for volume in stored["volumes"]],
        }
    )
