"""Instances: what requests and nodes read and write of them. What rollouts write is in rollout_plans.py."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from services.deploy_svc.domain.instance import DesiredState, Instance
from services.deploy_svc.domain.instance_status import InstanceStatus
from services.deploy_svc.domain.service_view import InstanceCounts
from services.deploy_svc.store.given import of_any
from services.deploy_svc.store.jsonb import OPTIONS, POD, read
from services.deploy_svc.store.tables import NODE_CHANGED, SERVICE_CHANGED, instances, service_deploys, services
from services.kernel import pages
from services.kernel.db import AnyTx, Database, Tx, notify, run
from services.kernel.members import made_of
from services.kernel.pages import WHOLE, Listing, Page
from services.kernel.statements import Statement
from services.kernel.storable import to_json

# Nobody can say any more what became of an instance that is on no node.
_NOWHERE: dict[str, Any] = {"node_id": None, "state": "missing", "health": None, "updated_at": sa.func.now()}


_WITHOUT_POD = [
    *(column for column in instances.c if column.name != "pod"),
    sa.null().label("pod"),
]


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What an assignment depends on: two equal ones need not be sent twice. The pod is fixed per deploy_rev."""

    desired_state: str
    deploy_rev: str
    service_revision: int
    restarts: int


def row_to_instance(row: Any) -> Instance:
    """An instance from a row with all columns of the table."""
    pod = None if row.pod is None else read(POD, row.pod)
    volumes = {} if row.data_volumes is None else read(OPTIONS, row.data_volumes)
    return made_of(Instance, row, pod=pod, data_volumes=volumes, service="")


async def of_service(tx: Tx, service_id: str, page: Page = WHOLE) -> Listing[Instance]:
    """All instances of a service by number."""
    query = sa.select(instances).where(instances.c.service_id == service_id)
    by_number = {"instance_number": instances.c.instance_number, "id": instances.c.id}
    return await pages.read(tx, query, by_number, page, row_to_instance)


async def of_services(tx: Tx, service_ids: Collection[str]) -> dict[str, list[Instance]]:
    """The instances of each of the services by number, without their pods: most of what there is to read of them, and
    no step of a deploy looks at it."""
    found: dict[str, list[Instance]] = {service_id: [] for service_id in service_ids}
    if found:
        query = sa.select(*_WITHOUT_POD).where(of_any(instances.c.service_id, found))
        for row in await tx.execute(query.order_by(instances.c.instance_number)):
            found[row.service_id].append(row_to_instance(row))
    return found


async def with_other_revisions(tx: Tx, service_ids: Collection[str]) -> set[str]:
    """Those of the services of which an instance is of another revision than the service."""
    query = (
        sa.select(services.c.id)
        .join(instances, instances.c.service_id == services.c.id)
        .where(services.c.id.in_(service_ids), instances.c.service_revision != services.c.revision)
    )
    return set((await tx.execute(query.distinct())).scalars())


_COUNTS = Statement(
    sa.select(
        instances.c.service_id,
        sa.func.count(instances.c.container_id),
        sa.func.count().filter(instances.c.state == "running"),
        sa.func.count().filter(instances.c.health == "healthy"),
        sa.func.count().filter(instances.c.health == "unhealthy"),
    )
    .where(instances.c.service_id == sa.any_(sa.bindparam("service_ids", type_=ARRAY(sa.Text))))
    .group_by(instances.c.service_id)
)


async def counts(tx: AnyTx, service_ids: Collection[str]) -> dict[str, InstanceCounts]:
    """Counts of each service, in one query; every id asked for is in the answer."""
    rows = await run(tx, _COUNTS, service_ids=list(service_ids)) if service_ids else ()
    found = {row[0]: InstanceCounts(*row[1:]) for row in map(tuple, rows)}
    return {service_id: found.get(service_id, InstanceCounts()) for service_id in service_ids}


async def set_desired_state(tx: Tx, service_id: str, desired: DesiredState) -> None:
    """Want all instances of the service in this state; their nodes and a running deploy are told."""
    await lock(tx, instances.c.service_id == service_id)
    await tx.execute(
        instances.update()
        .where(instances.c.service_id == service_id, instances.c.desired_state != desired)
        .values(desired_state=desired, updated_at=sa.func.now())
    )
    await notify_nodes(tx, service_id)
    await notify(tx, SERVICE_CHANGED, service_id)


async def request_restart(tx: Tx, service_id: str) -> None:
    """Ask the nodes to restart the containers of all instances once."""
    await lock(tx, instances.c.service_id == service_id)
    await tx.execute(
        instances.update()
        .where(instances.c.service_id == service_id)
        .values(restarts=instances.c.restarts + 1, updated_at=sa.func.now())
    )
    await notify_nodes(tx, service_id)


async def notify_nodes(tx: Tx, service_id: str) -> None:
    """Wake the sessions of all nodes that have an instance of the service. Call it before deleting the service."""
    nodes = (
        sa.select(instances.c.node_id)
        .where(instances.c.service_id == service_id, instances.c.node_id.is_not(None))
        .distinct()
        .subquery()
    )
    await tx.execute(sa.select(sa.func.pg_notify(NODE_CHANGED, nodes.c.node_id)))


async def forget_nodes(tx: Tx, node_ids: Collection[str]) -> set[str]:
    """Nodes were removed from their grid: their instances are nowhere now. Returns the services of these."""
    return await _forget(tx, instances.c.node_id.in_(node_ids)) if node_ids else set()


async def forget_unknown_nodes(tx: Tx, known: Collection[str]) -> set[str]:
    """Instances on none of the `known` nodes are nowhere: their node was removed while nobody listened. Returns the
    services of these.

    Instances that changed a moment ago stay, because another replica may know a node that is new.
    """
    return await _forget(
        tx,
        instances.c.node_id.is_not(None),
        instances.c.node_id != sa.func.all(sa.cast(list(known), ARRAY(sa.Text))),
        instances.c.updated_at < sa.func.now() - sa.text("interval '1 minute'"),
    )


async def detach(tx: Tx, service_id: str, instance_id: str) -> bool:
    """Take an instance off its node and tell the node. False when the service has no such instance."""
    where = (instances.c.service_id == service_id, instances.c.id == instance_id)
    row = (await tx.execute(sa.select(instances.c.node_id).where(*where).with_for_update())).one_or_none()
    if row is None:
        return False
    await tx.execute(instances.update().where(*where).values(_NOWHERE))
    if row.node_id is not None:
        await notify(tx, NODE_CHANGED, row.node_id)
    await notify(tx, SERVICE_CHANGED, service_id)
    return True


async def _forget(tx: Tx, *where: sa.ColumnElement[bool]) -> set[str]:
    await lock(tx, *where)
    update = instances.update().where(*where).values(_NOWHERE).returning(instances.c.service_id)
    return set((await tx.execute(update)).scalars())


async def lock(tx: Tx, *where: sa.ColumnElement[bool]) -> None:
    """Lock instances before several of them are written: everybody in the same order, so that nobody deadlocks."""
    order = (instances.c.service_id, instances.c.instance_number)
    await tx.execute(sa.select(instances.c.id).where(*where).order_by(*order).with_for_update(key_share=True))


_FINGERPRINTS = Statement(
    sa.select(
        instances.c.id,
        instances.c.desired_state,
        instances.c.deploy_rev,
        instances.c.service_revision,
        instances.c.restarts,
    ).where(instances.c.node_id == sa.bindparam("node"), instances.c.deploy_rev.is_not(None))
)


async def fingerprints(db: Database, node_id: str) -> dict[str, Fingerprint]:
    """What the assignments of a node depend on, by instance id, without reading the pods."""
    return {row[0]: Fingerprint(*row[1:]) for row in map(tuple, await db.fetch(_FINGERPRINTS, node=node_id))}


_ON_NODE = Statement(
    sa.select(instances, services.c.stack, services.c.name)
    .join(services, services.c.id == instances.c.service_id)
    .where(
        instances.c.node_id == sa.bindparam("node"),
        instances.c.id == sa.any_(sa.bindparam("ids", type_=ARRAY(sa.Text))),
        instances.c.deploy_rev.is_not(None),
    )
    .order_by(instances.c.id)
)


async def on_node(db: Database, node_id: str, ids: Collection[str]) -> list[Instance]:
    """Those of the named instances that are on the node, by id, with the names of their services."""
    rows = await db.fetch(_ON_NODE, node=node_id, ids=list(ids)) if ids else ()
    return [replace(row_to_instance(row), service=f"{row.stack}/{row.name}") for row in rows]


_OBSERVED = ("state", "rev", "error", "container_id", "container_started_at", "health", "address")
_NO_VOLUMES = sa.cast(sa.literal_column("'{}'"), JSONB)
_TOLD = (
    *(sa.column(name, instances.c[name].type) for name in ("id", *_OBSERVED)),
    sa.column("data_volumes", sa.Text),
)


def _storing() -> sa.Select[Any]:
    """Stores a report: the statuses come as arrays of the columns of _TOLD. Rows are locked in the order in which
    everybody locks them."""
    table = instances.c
    node, session, sequence = (
        sa.bindparam(name, type_=table[column].type)
        for name, column in (
            ("node", "node_id"),
            ("session", "reported_session"),
            ("sequence", "reported_sequence"),
        )
    )
    arrays = {column.name: sa.bindparam(f"all_{column.name}", type_=ARRAY(column.type)) for column in _TOLD}
    report = sa.func.unnest(*arrays.values()).table_valued(*_TOLD, name="report").render_derived()
    locked = (
        sa.select(table.id)
        .where(table.node_id == node, table.id == sa.any_(arrays["id"]))
        .order_by(table.service_id, table.instance_number)
        .with_for_update(key_share=True)
        .cte("locked")
    )
    newer = sa.tuple_(table.reported_session, table.reported_sequence) < sa.tuple_(session, sequence)
    known = sa.func.coalesce(table.data_volumes, _NO_VOLUMES)
    told = sa.cast(report.c.data_volumes, JSONB)
    differs = sa.or_(
        sa.not_(known.contains(told)), *(table[name].is_distinct_from(report.c[name]) for name in _OBSERVED)
    )
    changed = (
        instances.update()
        .where(table.id == locked.c.id, table.id == report.c.id, table.node_id == node, newer, differs)
        .values(
            {name: report.c[name] for name in _OBSERVED}
            | {
                "data_volumes": sa.func.nullif(known.concat(told), _NO_VOLUMES),
                "reported_session": session,
                "reported_sequence": sequence,
                "updated_at": sa.func.now(),
            }
        )
        .returning(table.service_id)
        .cte("changed")
    )
    found = sa.select(changed.c.service_id).distinct().cte("found")
    deploying = sa.exists().where(
        service_deploys.c.service_id == found.c.service_id, service_deploys.c.finished_at.is_(None)
    )
    return sa.select(
        found.c.service_id, sa.case((deploying, sa.func.pg_notify(SERVICE_CHANGED, found.c.service_id)))
    ).order_by(found.c.service_id)


_STORE = Statement(_storing())


async def store_report(
    tx: Tx, node_id: str, session: int, sequence: int, statuses: Sequence[InstanceStatus]
) -> list[str]:
    """Store what a node observed, in one statement, and wake the rollout loops for those of the services that have an
    unfinished deploy. Returns the services whose instances changed.

    Ignored are instances that are not on the node (any more), reports that are not newer than the stored one, and
    statuses that say nothing new. Of several statuses of an instance the last one counts.
    """
    newest = {status.instance_id: status for status in statuses}
    if not newest:
        return []
    columns = {f"all_{name}": [getattr(status, name) for status in newest.values()] for name in _OBSERVED}
    volumes = [to_json(dict(status.data_volumes)) for status in newest.values()]
    rows = await run(
        tx,
        _STORE,
        node=node_id,
        session=session,
        sequence=sequence,
        all_id=list(newest),
        all_data_volumes=volumes,
        **columns,
    )
    return [row[0] for row in rows]
