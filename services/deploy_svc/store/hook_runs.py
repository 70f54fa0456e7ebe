"""One-shot hooks that began: each runs once per service, hook and instance number, whatever becomes of it."""

from collections import defaultdict
from collections.abc import Collection, Sequence

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from services.deploy_svc.store.tables import hook_runs, instances
from services.kernel.db import Tx

_t = hook_runs.c


async def begin(tx: Tx, node_id: str, instance_id: str, hook_ids: Sequence[str], attempt: str) -> list[str]:
    """Note that hooks are about to run on the node; returns those that may. Told again with the same attempt, it
    answers the same; an instance that is not on the node has none."""
    owner = (
        await tx.execute(
            sa.select(instances.c.service_id, instances.c.instance_number)
            .where(instances.c.id == instance_id, instances.c.node_id == node_id)
            .with_for_update(read=True, key_share=True)
        )
    ).one_or_none()
    if owner is None or not hook_ids:
        return []
    key = {"service_id": owner.service_id, "instance_number": owner.instance_number}
    rows = [{**key, "hook_id": hook_id, "attempt": attempt} for hook_id in dict.fromkeys(hook_ids)]
    again = sa.and_(_t.attempt == attempt, _t.attempt != "")
    statement = insert(hook_runs).values(rows)
    statement = statement.on_conflict_do_update(
        index_elements=["service_id", "hook_id", "instance_number"], set_={"attempt": attempt}, where=again
    )
    return sorted((await tx.execute(statement.returning(_t.hook_id))).scalars())


async def done(tx: Tx, service_ids: Collection[str]) -> dict[tuple[str, int], frozenset[str]]:
    """Ids of the hooks that began, by (service id, instance number)."""
    found: defaultdict[tuple[str, int], set[str]] = defaultdict(set)
    for row in await tx.execute(hook_runs.select().where(_t.service_id.in_(service_ids))):
        found[row.service_id, row.instance_number].add(row.hook_id)
    return {key: frozenset(ids) for key, ids in found.items()}
