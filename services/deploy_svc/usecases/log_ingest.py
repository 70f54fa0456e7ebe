"""Log lines of nodes into the database: each once, in the order they came."""

from collections.abc import Sequence

from services.clients.nodes import NodeDirectory
from services.deploy_svc.domain.log_line import LogLine, LogResume, next_positions
from services.deploy_svc.store import container_logs as store
from services.deploy_svc.store import log_usage
from services.deploy_svc.store.node_services import spoken_for
from services.deploy_svc.usecases.current_session import require_current
from services.kernel import locks
from services.kernel.db import Database
from services.kernel.principal import NodeSession

# Lines per transaction: long enough for COPY to pay off, short enough not to hold up the other nodes of the grid.
_BATCH = 5000


class LogIngest:
    def __init__(self, db: Database, nodes: NodeDirectory) -> None:
        self._db = db
        self._nodes = nodes

    async def push(self, session: NodeSession, resume: LogResume, lines: Sequence[LogLine]) -> None:
        """Store those of the lines that are not stored yet; lines of services that the node does not run, or that were
        deleted, are dropped. Raises SessionEnded. `resume` belongs to the stream that brought them.

        When this returns they are committed. A failure part of the way is harmless: what was stored is recognized when
        it is sent again.
        """
        name = (await require_current(self._nodes, session)).name
        for start in range(0, len(lines), _BATCH):
            await self._store(session, name, resume, lines[start : start + _BATCH])

    async def _store(self, session: NodeSession, node: str, resume: LogResume, lines: Sequence[LogLine]) -> None:
        async with self._db.transaction() as tx:
            # One writer per grid at a time: ids grow in commit order.
            await locks.hold(tx, locks.CONTAINER_LOGS, session.grid_id)
            stored = await store.positions(tx, session.node_id, {line.container_id for line in lines})
            fresh = resume.fresh(lines, stored)
            services = {line.service_id for line in fresh if line.service_id is not None}
            mine = await spoken_for(tx, session, services)
            if services - mine.keys():
                fresh = [line for line in fresh if line.service_id is None or line.service_id in mine]
            if not fresh:
                return
            await log_usage.add(tx, session.grid_id, fresh)
            await store.append(tx, grid_id=session.grid_id, node_id=session.node_id, node=node, lines=fresh)
            positions = next_positions(fresh, stored)
            await store.save_positions(tx, session.node_id, positions)
        resume.written(positions)
