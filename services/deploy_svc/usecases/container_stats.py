"""Samples of containers: from nodes, and as answers (docs/spec/deploy_rest.md section 9)."""

from collections.abc import Sequence
from datetime import UTC, datetime

from services.clients.grids import GridDirectory
from services.clients.nodes import NodeDirectory
from services.deploy_svc.domain.container_sample import Current, Minute, Sample, ordered, period
from services.deploy_svc.store import container_stats as store
from services.deploy_svc.usecases.container_paths import ContainerAccess
from services.deploy_svc.usecases.current_session import require_current
from services.deploy_svc.usecases.node_pace import NodePace
from services.deploy_svc.usecases.service_paths import Access
from services.kernel.db import Database
from services.kernel.principal import NodeSession, Principal


class ContainerStats:
    """The use cases; one statement each, however many containers there are."""

    def __init__(self, db: Database, grids: GridDirectory, access: Access, paths: ContainerAccess) -> None:
        self._db = db
        self._grids = grids
        self._access = access
        self._paths = paths

    async def of_service(self, principal: Principal, path: str, sort: str, limit: str) -> list[Current]:
        """The running containers of a service, the busiest first."""
        _, service = await self._access.readable(principal, path)
        async with self._db.read() as tx:
            return ordered(await store.of_service(tx, service.id), sort, limit)

    async def of_grid(self, principal: Principal, grid_name: str, sort: str, limit: str) -> list[Current]:
        """The running containers of a grid, the busiest first."""
        grid = await self._grids.accessible(principal, grid_name)
        async with self._db.read() as tx:
            return ordered(await store.of_grid(tx, grid.id), sort, limit)

    async def of_node(self, principal: Principal, path: str, sort: str, limit: str) -> list[Current]:
        """The running containers of a node, the busiest first."""
        _, node = await self._paths.node(principal, path)
        async with self._db.read() as tx:
            return ordered(await store.of_node(tx, node.id), sort, limit)

    async def metrics(
        self, principal: Principal, path: str, first: str, last: str
    ) -> tuple[datetime, datetime, list[Minute]]:
        """The minutes of a service between two times. Raises InvalidRequest for text that is no time."""
        _, service = await self._access.readable(principal, path)
        begin, end = period(first, last, datetime.now(UTC))
        async with self._db.read() as tx:
            return begin, end, await store.minutes(tx, service.id, begin, end)


# Samples of one node.
_PER_SECOND = 200.0
_AT_ONCE = 10000.0


class StatsIngest:
    def __init__(self, db: Database, nodes: NodeDirectory) -> None:
        self._db = db
        self._nodes = nodes
        self._pace = NodePace(_PER_SECOND, _AT_ONCE)

    async def push(self, session: NodeSession, samples: Sequence[Sample]) -> None:
        """Store samples; those of containers that the node has not reported are dropped. Raises SessionEnded."""
        await require_current(self._nodes, session)
        await self._pace.spend(session.node_id, len(samples))
        async with self._db.transaction() as tx:
            services = await store.known(tx, session.node_id, [sample.container_id for sample in samples])
            found = [sample for sample in samples if sample.container_id in services]
            if found:
                await store.append(
                    tx, grid_id=session.grid_id, node_id=session.node_id, samples=found, services=services
                )
