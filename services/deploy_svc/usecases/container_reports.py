"""What nodes report of their containers, into the mirror."""

from collections.abc import Mapping, Sequence
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
from services.kernel.together import Together

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
# Reports that are stored together.
_TOGETHER = 20


@dataclass(frozen=True, slots=True)
class _Report:
    session: NodeSession
    batch: Batch


class ContainerReports:
    """One transaction at a time stores what the nodes of a grid have reported meanwhile: for a single report, most of
    its cost is to begin, to look up and to commit."""

    def __init__(self, db: Database, nodes: NodeDirectory) -> None:
        self._db = db
        self._nodes = nodes
        self._pace = NodePace(_PER_SECOND, _AT_ONCE)
        self._together = Together(self._store, _TOGETHER)

    async def store(self, session: NodeSession, batch: Batch) -> None:
        """Store a batch; it is committed when this returns. Variables that carry secrets are left out once more: the
        node leaves them out by what it was assigned, this by what the service says. Of more containers than a node may
        have, the new ones are left out. Raises SessionEnded."""
        await require_current(self._nodes, session)
        await self._pace.spend(session.node_id, len(batch.containers) + len(batch.removed))
        await self._together.do(session.grid_id, _Report(session, batch))

    async def _store(self, reports: Sequence[_Report]) -> None:
        grid_id, reports = reports[0].session.grid_id, _of_newest_sessions(reports)
        async with self._db.transaction() as tx:
            for report in reports:
                if report.batch.present is not None:
                    await store.keep_only(tx, report.session, report.batch.present)
            await store.remove(tx, [(report.session, key) for report in reports for key in report.batch.removed])
            told = await self._fitting(tx, reports)
            services = {(session.node_id, item.service_id) for session, item in told if item.service_id is not None}
            mine = await spoken_for(tx, grid_id, services)
            names = await store.secret_names(tx, grid_id, {service_id for _, service_id in mine})
            cleaned = [
                (session, _cleaned(item, names if (session.node_id, item.service_id or "") in mine else {}))
                for session, item in told
            ]
            await store.save(tx, grid_id, cleaned)

    async def _fitting(self, tx: Tx, reports: Sequence[_Report]) -> list[tuple[NodeSession, Reported]]:
        told = [(report.session, item) for report in reports for item in report.batch.containers]
        if not told:
            return []
        known = await store.known(tx, {(session.node_id, item.container_id) for session, item in told})
        counts = await store.counts(tx, {session.node_id for session, _ in told})
        fitting, full = [], set()
        for session, item in told:
            key = (session.node_id, item.container_id)
            if key not in known:
                if counts.get(session.node_id, 0) >= MOST_CONTAINERS:
                    full.add(session.node_id)
                    continue
                counts[session.node_id] = counts.get(session.node_id, 0) + 1
                known.add(key)
            fitting.append((session, item))
        for node_id in full:
            log.warning("a node reports too many containers", node_id=node_id, most=MOST_CONTAINERS)
        return fitting


def _of_newest_sessions(reports: Sequence[_Report]) -> Sequence[_Report]:
    """Without those of a session that a newer one has followed meanwhile: it must not bring back what that one does not
    have."""
    newest: dict[str, int] = {}
    for report in reports:
        newest[report.session.node_id] = max(report.session.number, newest.get(report.session.node_id, 0))
    return [report for report in reports if report.session.number == newest[report.session.node_id]]


def _cleaned(item: Reported, names: Mapping[str, set[str]]) -> Reported:
    """`names` are those of variables with secrets, by service that the node speaks for."""
    if item.service_id is None or item.service_id not in names:
        # A node speaks for what it runs only: the container is shown, but as one of no service.
        return replace(item, service_id=None)
    env = without_secrets(item.details.env, names[item.service_id])
    return replace(item, details=replace(item.details, env=env))
