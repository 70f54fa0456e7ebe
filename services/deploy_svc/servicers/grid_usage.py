"""GridUsageService: decode, call, encode."""

from collections.abc import AsyncIterator

from kontena.deploy.v1 import grid_usage_pb2 as pb
from kontena.deploy.v1.grid_usage_pb2_grpc import GridUsageServiceServicer
from services.deploy_svc.domain.watch import GridUsage
from services.deploy_svc.usecases.grid_usage import GridUsages
from services.kernel.ids import is_id
from services.kernel.methods import Context
from services.kernel.watch import messages


class GridUsageServicer(GridUsageServiceServicer):
    def __init__(self, usage: GridUsages) -> None:
        self._usage = usage

    async def WatchGridUsage(
        self, request: pb.WatchGridUsageRequest, context: Context
    ) -> AsyncIterator[pb.GridUsageEvent]:
        async for event in messages(pb.GridUsageEvent, self._usage.follow(), _record):
            yield event

    async def CountGridUsage(self, request: pb.CountGridUsageRequest, context: Context) -> pb.CountGridUsageResponse:
        found = await self._usage.count({grid_id for grid_id in request.grid_ids if is_id(grid_id)})
        usages = {
            usage.id: pb.GridUsage(service_count=usage.services, container_count=usage.containers) for usage in found
        }
        return pb.CountGridUsageResponse(usages=usages)

    async def FindStatefulNodes(
        self, request: pb.FindStatefulNodesRequest, context: Context
    ) -> pb.FindStatefulNodesResponse:
        found = await self._usage.stateful_nodes({node_id for node_id in request.node_ids if is_id(node_id)})
        return pb.FindStatefulNodesResponse(node_ids=sorted(found))


def _record(found: GridUsage) -> pb.GridUsageRecord:
    return pb.GridUsageRecord(grid_id=found.id, service_count=found.services, container_count=found.containers)
