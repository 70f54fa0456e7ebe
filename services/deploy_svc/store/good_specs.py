"""The spec of the last deploy of a service that succeeded, and the containers that ran then."""

from collections.abc import Collection
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from services.deploy_svc.domain.rollout_plan import Good
from services.deploy_svc.store.given import of_any
from services.deploy_svc.store.jsonb import MOUNTS, SPEC
from services.deploy_svc.store.tables import good_specs, instances, services
from services.kernel.db import Tx


async def of_service(tx: Tx, service_id: str) -> Good | None:
    """None before the first success."""
    return (await of_services(tx, [service_id])).get(service_id)


async def of_services(tx: Tx, service_ids: Collection[str]) -> dict[str, Good]:
    """By service id, in one query."""
    if not service_ids:
        return {}
    rows = await tx.execute(good_specs.select().where(good_specs.c.service_id.in_(service_ids)))
    return {row.service_id: _good(row) for row in rows}


async def remember(tx: Tx, service_ids: Collection[str], *, changed: Collection[str]) -> None:
    """Deploys of the services succeeded: their containers are good, and of those in `changed` so is the spec that the
    deploy began with.

    A spec that was changed meanwhile was not deployed as a whole, so it is not remembered.
    """
    if not service_ids:
        return
    containers = (
        instances.update()
        .where(
            of_any(instances.c.service_id, service_ids),
            instances.c.good_container_id.is_distinct_from(instances.c.container_id),
        )
        .values(good_container_id=instances.c.container_id)
    )
    if not changed:
        await tx.execute(containers)
        return
    begun = sa.select(services.c.id, services.c.revision, services.c.spec, services.c.exposed, services.c.mounts).where(
        of_any(services.c.id, changed), services.c.revision == services.c.deployed_revision
    )
    names = ("revision", "spec", "exposed", "mounts")
    statement = insert(good_specs).from_select(["service_id", *names], begun)
    new = statement.excluded
    differs = sa.or_(*(good_specs.c[name].is_distinct_from(new[name]) for name in names))
    upsert = statement.on_conflict_do_update(
        index_elements=["service_id"], set_={name: new[name] for name in names}, where=differs
    )
    await tx.execute(upsert.add_cte(containers.cte("containers")))


def _good(row: Any) -> Good:
    return Good(row.revision, SPEC.validate_python(row.spec), row.exposed, MOUNTS.validate_python(row.mounts))
