"""What grids and nodes hold, as auth_svc and deploy_svc know it: one call to each for any number."""

import asyncio
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from kontena.auth.v1 import membership_pb2
from kontena.auth.v1.membership_pb2_grpc import GridMembershipServiceStub
from kontena.deploy.v1 import grid_usage_pb2
from kontena.deploy.v1.grid_usage_pb2_grpc import GridUsageServiceStub
from services.grid_svc.domain.grid import GridCounts
from services.kernel.client import ServiceChannel

if TYPE_CHECKING:  # The generated modules have these classes in their stub files only.
    from kontena.auth.v1.membership_pb2_grpc import GridMembershipServiceAsyncStub
    from kontena.deploy.v1.grid_usage_pb2_grpc import GridUsageServiceAsyncStub

AUTH_IDEMPOTENT = (
    "/kontena.auth.v1.GridMembershipService/CountGridMembers",
    "/kontena.auth.v1.GridMembershipService/AddGridMember",
    "/kontena.auth.v1.GridMembershipService/RemoveGrid",
)
DEPLOY_IDEMPOTENT = (
    "/kontena.deploy.v1.GridUsageService/CountGridUsage",
    "/kontena.deploy.v1.GridUsageService/FindStatefulNodes",
)


class Counts:
    """A count that is not known fails the request with an RPC error (503 outside) rather than reading as zero."""

    def __init__(self, auth: ServiceChannel, deploy: ServiceChannel, deadline: float) -> None:
        self._members: GridMembershipServiceAsyncStub = auth.stub(GridMembershipServiceStub)
        self._usage: GridUsageServiceAsyncStub = deploy.stub(GridUsageServiceStub)
        self._deadline = deadline

    async def of(self, grid_ids: Collection[str]) -> Mapping[str, GridCounts]:
        """Counts by grid id, without nodes."""
        if not grid_ids:
            return {}
        users, usages = await asyncio.gather(self._users(grid_ids), self._usages(grid_ids))
        found = {}
        for grid_id in grid_ids:
            usage = usages.get(grid_id) or grid_usage_pb2.GridUsage()
            found[grid_id] = GridCounts(
                users=users.get(grid_id, 0), services=usage.service_count, containers=usage.container_count
            )
        return found

    async def services(self, grid_id: str) -> int:
        """Number of services in one grid."""
        usage = (await self._usages([grid_id])).get(grid_id)
        return usage.service_count if usage else 0

    async def stateful_nodes(self, node_ids: Collection[str]) -> set[str]:
        """Those of the nodes that hold data of stateful services."""
        if not node_ids:
            return set()
        request = grid_usage_pb2.FindStatefulNodesRequest(node_ids=node_ids)
        return set((await self._usage.FindStatefulNodes(request, timeout=self._deadline)).node_ids)

    async def _users(self, grid_ids: Collection[str]) -> Mapping[str, int]:
        request = membership_pb2.CountGridMembersRequest(grid_ids=grid_ids)
        return dict((await self._members.CountGridMembers(request, timeout=self._deadline)).user_counts)

    async def _usages(self, grid_ids: Collection[str]) -> Mapping[str, grid_usage_pb2.GridUsage]:
        request = grid_usage_pb2.CountGridUsageRequest(grid_ids=grid_ids)
        return dict((await self._usage.CountGridUsage(request, timeout=self._deadline)).usages)
