"""Reading event logs, and events of nodes into them (docs/spec/deploy_rest.md section 8)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from services.clients.grids import GridDirectory
from services.clients.nodes import Node, NodeDirectory
from services.deploy_svc.domain.event import NODE_TYPES, Event, NodeEvent, StoredEvent, not_stored
from services.deploy_svc.domain.log_scope import EventScope, names
from services.deploy_svc.store import event_logs as store
from services.deploy_svc.store import services as service_store
from services.deploy_svc.store import stacks as stack_store
from services.deploy_svc.store.node_services import spoken_for
from services.deploy_svc.usecases.container_logs import node_ids
from services.deploy_svc.usecases.current_session import require_current
from services.deploy_svc.usecases.following import Reader
from services.deploy_svc.usecases.node_pace import NodePace
from services.deploy_svc.usecases.service_paths import Access
from services.kernel.db import Database
from services.kernel.listen import Wakes
from services.kernel.principal import NodeSession, Principal
from services.kernel.together import Together


class EventLogs:
    """The use cases: every check happens when a scope is made, before the first event leaves."""

    def __init__(self, db: Database, grids: GridDirectory, nodes: NodeDirectory, access: Access, wakes: Wakes) -> None:
        self._db = db
        self._grids = grids
        self._nodes = nodes
        self._access = access
        self.reader: Reader[EventScope, StoredEvent] = Reader(db, wakes, store.select, store.newest_id)

    async def service(self, principal: Principal, path: str) -> EventScope:
        """The events of a service."""
        grid, service = await self._access.readable(principal, path)
        return EventScope(grid.id, grid.name, service_ids=frozenset({service.id}))

    async def stack(self, principal: Principal, path: str) -> EventScope:
        """The events of a stack. Raises NotFound for an unknown one."""
        grid, stack = await self._access.stack(principal, path)
        return EventScope(grid.id, grid.name, stacks=frozenset({stack}))

    async def grid(self, principal: Principal, grid_name: str, *, nodes: str, stacks: str, services: str) -> EventScope:
        """The events of a grid, or of those of the named nodes, stacks and services that exist."""
        grid = await self._grids.accessible(principal, grid_name)
        wanted_stacks, wanted_services = names(stacks), names(services)
        async with self._db.read() as tx:
            return EventScope(
                grid.id,
                grid.name,
                service_ids=None
                if wanted_services is None
                else frozenset(await service_store.resolve(tx, grid.id, wanted_services)),
                node_ids=await node_ids(self._nodes, grid, names(nodes)),
                stacks=None
                if wanted_stacks is None
                else frozenset(await stack_store.existing(tx, grid.id, wanted_stacks)),
            )

    async def nodes(self) -> Mapping[str, Node]:
        """The nodes that exist, by record id; a view that stays right."""
        return await self._nodes.all()


# Events of one node.
_PER_SECOND = 50.0
_AT_ONCE = 2000.0


# Pushes that are stored together.
_TOGETHER = 100


@dataclass(frozen=True, slots=True)
class _Push:
    session: NodeSession
    events: Sequence[NodeEvent]


class EventIngest:
    """One transaction at a time stores what the nodes of a grid have sent meanwhile: ids grow in commit order, so
    they would wait for one another all the same."""

    def __init__(self, db: Database, nodes: NodeDirectory) -> None:
        self._db = db
        self._nodes = nodes
        self._pace = NodePace(_PER_SECOND, _AT_ONCE)
        self._together = Together(self._store, _TOGETHER)

    async def push(self, session: NodeSession, events: Sequence[NodeEvent]) -> None:
        """Store the events that are not stored yet; they are committed when this returns. Events of unknown types or
        of services that the node does not run are dropped. Raises SessionEnded."""
        await require_current(self._nodes, session)
        await self._pace.spend(session.node_id, len(events))
        if events:
            await self._together.do(session.grid_id, _Push(session, events))

    async def _store(self, pushes: Sequence[_Push]) -> None:
        wanted: list[tuple[NodeSession, NodeEvent]] = []
        async with self._db.transaction() as tx:
            last = await store.positions(tx, {push.session.node_id for push in pushes})
            for push in pushes:
                node_id = push.session.node_id
                if fresh := not_stored(list(push.events), last.get(node_id)):
                    last[node_id] = fresh[-1].id
                    wanted += [(push.session, event) for event in fresh]
            if not wanted:
                return
            told = {(session.node_id, event.service_id) for session, event in wanted}
            known = await spoken_for(tx, pushes[0].session.grid_id, told)
            await store.save_positions(tx, {session.node_id: last[session.node_id] for session, _ in wanted})
            events = (
                _stored(session, event, service)
                for session, event in wanted
                if (service := known.get((session.node_id, event.service_id))) and event.type in NODE_TYPES
            )
            await store.record(tx, *events)


def _stored(session: NodeSession, event: NodeEvent, service: tuple[str, str]) -> Event:
    return Event(
        grid_id=session.grid_id,
        type=event.type,
        message=event.message,
        severity=min(max(event.severity, 0), 3),
        stack=service[0],
        service_id=event.service_id,
        service=service[1],
        node_id=session.node_id,
        instance_number=event.instance_number,
        time=event.time,
    )
