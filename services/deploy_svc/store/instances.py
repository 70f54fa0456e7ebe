"""Instances: what requests and nodes read and write of them. What rollouts write is in rollout_plans.py."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from services.deploy_svc.domain.instance import DesiredState, Instance
from services.deploy_svc.domain.instance_status import InstanceStatus
from services.deploy_svc.domain.service_view import InstanceCounts
from services.deploy_svc.store.given import given, of_any
from services.deploy_svc.store.jsonb import POD
from services.deploy_svc.store.tables import NODE_CHANGED, SERVICE_CHANGED, instances, service_deploys, services
from services.kernel import pages
from services.kernel.db import AnyTx, Tx, notify, run
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
    pod = None if row.pod is None else POD.validate_python(row.pod)
    return made_of(Instance, row, pod=pod, data_volumes=row.data_volumes or {}, service="")


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


async def fingerprints(tx: Tx, node_id: str) -> dict[str, Fingerprint]:
    """What the assignments of a node depend on, by instance id, without reading the pods."""
    table = instances.c
    query = sa.select(table.id, table.desired_state, table.deploy_rev, table.service_revision, table.restarts).where(
        table.node_id == node_id, table.deploy_rev.is_not(None)
    )
    return {row[0]: Fingerprint(*row[1:]) for row in await tx.execute(query)}


async def on_node(tx: Tx, node_id: str, ids: Collection[str]) -> list[Instance]:
    """Those of the named instances that are on the node, by id, with the names of their services."""
    query = (
        sa.select(instances, services.c.stack, services.c.name)
        .join(services, services.c.id == instances.c.service_id)
        .where(instances.c.node_id == node_id, instances.c.id.in_(ids), instances.c.deploy_rev.is_not(None))
        .order_by(instances.c.id)
    )
    return [replace(row_to_instance(row), service=f"{row.stack}/{row.name}") for row in await tx.execute(query)]


_OBSERVED = ("state", "rev", "error", "container_id", "container_started_at", "health", "address")


async def store_report(
    tx: Tx, node_id: str, session: int, sequence: int, statuses: Sequence[InstanceStatus]
) -> list[str]:
    """Store what a node observed, in one statement. Returns the services whose instances changed.

    Ignored are instances that are not on the node (any more), reports that are not newer than the stored one, and
    statuses that say nothing new.
    """
    if not statuses:
        return []
    report = _report(statuses)
    table = instances.c
    newer = sa.tuple_(table.reported_session, table.reported_sequence) < sa.tuple_(session, sequence)
    known = sa.func.coalesce(table.data_volumes, sa.cast({}, JSONB))
    told = sa.cast(report.c.data_volumes, JSONB)
    differs = sa.or_(
        sa.not_(known.contains(told)), *(table[name].is_distinct_from(report.c[name]) for name in _OBSERVED)
    )
    if len(statuses) > 1:
        await lock(tx, table.node_id == node_id, table.id.in_([status.instance_id for status in statuses]))
    update = (
        instances.update()
        .where(table.id == report.c.id, table.node_id == node_id, newer, differs)
        .values(
            {name: report.c[name] for name in _OBSERVED}
            | {
                "data_volumes": sa.func.nullif(known.concat(told), sa.cast({}, JSONB)),
                "reported_session": session,
                "reported_sequence": sequence,
                "updated_at": sa.func.now(),
            }
        )
        .returning(table.service_id)
    )
    return sorted({row.service_id for row in await tx.execute(update)})


async def notify_deploying(tx: Tx, service_ids: Collection[str]) -> None:
    """Wake the rollout loops for those of the services that have an unfinished deploy."""
    if not service_ids:
        return
    deploying = (
        sa.select(service_deploys.c.service_id)
        .where(service_deploys.c.service_id.in_(service_ids), service_deploys.c.finished_at.is_(None))
        .distinct()
        .subquery()
    )
    await tx.execute(sa.select(sa.func.pg_notify(SERVICE_CHANGED, deploying.c.service_id)))


def _report(statuses: Sequence[InstanceStatus]) -> sa.Subquery:
    """The newest status per instance as rows."""
    newest: Mapping[str, InstanceStatus] = {status.instance_id: status for status in statuses}
    columns = (instances.c.id, *(instances.c[name] for name in _OBSERVED), sa.column("data_volumes", sa.Text))
    rows = [
        (key, *(getattr(status, name) for name in _OBSERVED), to_json(dict(status.data_volumes)))
        for key, status in newest.items()
    ]
    return sa.select(given("observed", columns, rows)).subquery("report")
