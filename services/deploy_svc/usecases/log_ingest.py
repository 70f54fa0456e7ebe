"""Log lines of nodes into the database: each once, in the order they came."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from services.clients.nodes import NodeDirectory
from services.deploy_svc.domain.log_line import LogKey, LogLine, LogPosition, LogResume, next_positions
from services.deploy_svc.store import container_logs as store
from services.deploy_svc.store import log_usage
from services.deploy_svc.store.node_services import Spoken, spoken_for
from services.deploy_svc.usecases.current_session import require_current
from services.kernel import locks
from services.kernel.db import Database
from services.kernel.principal import NodeSession
from services.kernel.together import Together

# Lines per transaction: long enough for COPY to pay off, short enough not to hold up the other nodes of the grid.
_BATCH = 5000


# Pushes that are stored together, each of at most a mebibyte and those lines.
_TOGETHER = 50


@dataclass(frozen=True, slots=True)
class _Push:
    session: NodeSession
    node: str
    resume: LogResume
    lines: Sequence[LogLine]

    @property
    def containers(self) -> set[tuple[str, str]]:
        """Those of the lines, with the node."""
        return {(self.session.node_id, key) for key in {line.container_id for line in self.lines}}

    @property
    def services(self) -> set[Spoken]:
        """Those of the lines, with the node."""
        told = {line.service_id for line in self.lines}
        return {(self.session.node_id, service_id) for service_id in told if service_id is not None}


@dataclass(frozen=True, slots=True)
class _Stored:
    """What of a push was new."""

    push: _Push
    fresh: Sequence[LogLine]
    positions: Mapping[LogKey, LogPosition]


class LogIngest:
    """One transaction at a time stores what the nodes of a grid have sent meanwhile: ids grow in commit order, so
    they would wait for one another all the same."""

    def __init__(self, db: Database, nodes: NodeDirectory) -> None:
        self._db = db
        self._nodes = nodes
        self._together = Together(self._store, _TOGETHER)

    async def push(self, session: NodeSession, resume: LogResume, lines: Sequence[LogLine]) -> None:
        """Store those of the lines that are not stored yet; lines of services that the node does not run, or that were
        deleted, are dropped. Raises SessionEnded. `resume` belongs to the stream that brought them.

        When this returns they are committed. A failure part of the way is harmless: what was stored is recognized when
        it is sent again.
        """
        name = (await require_current(self._nodes, session)).name
        for start in range(0, len(lines), _BATCH):
            push = _Push(session, name, resume, lines[start : start + _BATCH])
            await self._together.do(session.grid_id, push)

    async def _store(self, pushes: Sequence[_Push]) -> None:
        grid_id = pushes[0].session.grid_id
        stored: list[_Stored] = []
        async with self._db.transaction() as tx:
            # One writer per grid at a time, of all replicas.
            await locks.hold(tx, locks.CONTAINER_LOGS, grid_id)
            before = await store.positions(tx, {key for push in pushes for key in push.containers})
            mine = await spoken_for(tx, grid_id, {told for push in pushes for told in push.services})
            for push in pushes:
                of_node = before[push.session.node_id]
                fresh = push.resume.fresh(push.lines, of_node)
                if push.services - mine.keys():
                    own = {service_id for node_id, service_id in mine if node_id == push.session.node_id}
                    fresh = [line for line in fresh if line.service_id is None or line.service_id in own]
                stored.append(_Stored(push, fresh, next_positions(fresh, of_node)))
                # For another stream of the same node.
                of_node.update(stored[-1].positions)
            if lines := [line for item in stored for line in item.fresh]:
                await log_usage.add(tx, grid_id, lines)
                await store.append(tx, grid_id, [(item.push.session, item.push.node, item.fresh) for item in stored])
                await store.save_positions(tx, [(item.push.session.node_id, item.positions) for item in stored])
        for item in stored:
            item.push.resume.written(item.positions)
