"""What nodes report of their containers, into the mirror."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from services.clients.nodes import NodeDirectory
from services.deploy_svc.domain.container import Reported, without_secrets
from services.deploy_svc.store import containers as store
from services.deploy_svc.store.node_services import spoken_for
from services.deploy_svc.usecases.current_session import require_current
from services.deploy_svc.usecases.node_pace import NodePace
from services.kernel.db import Database, Tx
from services.kernel.logs import get_logger
from services.kernel.principal import NodeSession

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Batch:
    """One report; `present` are all containers of the node, None unless it is a snapshot."""

    containers: Sequence[Reported]
    removed: Sequence[str]
    present: Sequence[str] | None = None


# Containers that a node may have, those with data included.
MOST_CONTAINERS = 5000
_PER_SECOND = 500.0
_AT_ONCE = 10_000.0


class ContainerReports:
    def __init__(self, db: Database, nodes: NodeDirectory) -> None:
        self._db = db
        self._nodes = nodes
        self._pace = NodePace(_PER_SECOND, _AT_ONCE)

    async def store(self, session: NodeSession, batch: Batch) -> None:
        """Store a batch; it is committed when this returns. Variables that carry secrets are left out once more: the
        node leaves them out by what it was assigned, this by what the service says. Of more containers than a node may
        have, the new ones are left out. Raises SessionEnded."""
        await require_current(self._nodes, session)
        await self._pace.spend(session.node_id, len(batch.containers) + len(batch.removed))
        async with self._db.transaction() as tx:
            if batch.present is not None:
                await store.keep_only(tx, session.node_id, session.number, batch.present)
            if batch.removed:
                await store.remove(tx, session.node_id, session.number, batch.removed)
            containers = await self._fitting(tx, session, batch.containers)
            services = {item.service_id for item in containers if item.service_id is not None}
            mine = await spoken_for(tx, session, services)
            names = await store.secret_names(tx, session.grid_id, mine)
            cleaned = [_cleaned(item, names) for item in containers]
            await store.save(tx, session.grid_id, session.node_id, session.number, cleaned)

    async def _fitting(self, tx: Tx, session: NodeSession, reported: Sequence[Reported]) -> Sequence[Reported]:
        known = await store.known_ids(tx, session.node_id, {item.container_id for item in reported})
        room = MOST_CONTAINERS - await store.count(tx, session.node_id)
        new = [item.container_id for item in reported if item.container_id not in known]
        if len(new) <= room:
            return reported
        log.warning("a node reports too many containers", node_id=session.node_id, most=MOST_CONTAINERS)
        kept = known | set(new[: max(0, room)])
        return [item for item in reported if item.container_id in kept]


def _cleaned(item: Reported, names: dict[str, set[str]]) -> Reported:
    if item.service_id not in names:
        # A node speaks for what it runs only: the container is shown, but as one of no service.
        return replace(item, service_id=None)
    env = without_secrets(item.details.env, names[item.service_id])
    return replace(item, details=replace(item.details, env=env))
