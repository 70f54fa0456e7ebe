"""What grids and nodes hold, as auth_svc and deploy_svc know it: followed for those who look, asked for decisions."""

from collections.abc import AsyncIterator, Collection, Mapping

from kontena.auth.v1 import membership_pb2
from kontena.auth.v1.membership_pb2_grpc import GridMembershipServiceStub
from kontena.deploy.v1 import grid_usage_pb2
from kontena.deploy.v1.grid_usage_pb2_grpc import GridUsageServiceStub
from services.grid_svc.domain.grid import GridCounts
from services.kernel.client import ServiceChannel
from services.kernel.informer import Change, Delete, Informer, Upsert, changes

_MOST_MADE = 1000


class Counts:
    """A local copy that no read waits for. Both informers must be supervised for as long as it is used."""

    def __init__(self, auth: ServiceChannel, deploy: ServiceChannel) -> None:
        self._auth = auth.stub(GridMembershipServiceStub)
        self._deploy = deploy.stub(GridUsageServiceStub)
        self.members: Informer[int] = Informer("members", self._watch_members)
        self.usage: Informer[tuple[int, int]] = Informer("usage of grids", self._watch_usage)
        # Members of grids that were made here, until auth_svc tells of them.
        self._made: dict[str, int] = {}
        self.members.on_change(self._told)

    def made(self, grid_id: str, users: int) -> None:
        """A new grid has so many members, who are on their way to auth_svc."""
        self._made[grid_id] = users
        while len(self._made) > _MOST_MADE:
            del self._made[next(iter(self._made))]

    def _told(self, change: Change[int]) -> None:
        if isinstance(change, Upsert | Delete):
            self._made.pop(change.key, None)

    def of(self, grid_id: str, nodes: int) -> GridCounts:
        """Counts of a grid with so many nodes; None where the other service has not told any yet."""
        users, usages = self.members.known(), self.usage.known()
        services, containers = (None, None) if usages is None else usages.get(grid_id, (0, 0))
        members = None if users is None else users.get(grid_id, self._made.get(grid_id, 0))
        return GridCounts(nodes, services, containers, members)

    def _watch_members(self) -> AsyncIterator[Change[int]]:
        events = self._auth.WatchGridMembers(membership_pb2.WatchGridMembersRequest(), wait_for_ready=True)
        return changes(events, lambda record: (record.grid_id, record.user_count))

    def _watch_usage(self) -> AsyncIterator[Change[tuple[int, int]]]:
        events = self._deploy.WatchGridUsage(grid_usage_pb2.WatchGridUsageRequest(), wait_for_ready=True)
        return changes(events, lambda record: (record.grid_id, (record.service_count, record.container_count)))


class Usage:
    """Asks deploy_svc, for decisions that must not rest on a copy. What it does not tell in time is an RPC error (503
    outside)."""

    def __init__(self, deploy: ServiceChannel, deadline: float) -> None:
        self._stub = deploy.stub(GridUsageServiceStub)
        self._deadline = deadline

    async def services(self, grid_id: str) -> int:
        """Number of services in one grid."""
        request = grid_usage_pb2.CountGridUsageRequest(grid_ids=[grid_id])
        found: Mapping[str, grid_usage_pb2.GridUsage] = (
            await self._stub.CountGridUsage(request, timeout=self._deadline)
        ).usages
        return found[grid_id].service_count if grid_id in found else 0

    async def stateful_nodes(self, node_ids: Collection[str]) -> set[str]:
        """Those of the nodes that hold data of stateful services."""
        if not node_ids:
            return set()
        request = grid_usage_pb2.FindStatefulNodesRequest(node_ids=node_ids)
        return set((await self._stub.FindStatefulNodes(request, timeout=self._deadline)).node_ids)
