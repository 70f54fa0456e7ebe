"""GridUsageService: decode, call, encode."""

from typing import Any

from kontena.deploy.v1 import grid_usage_pb2 as pb
from kontena.deploy.v1.grid_usage_pb2_grpc import GridUsageServiceServicer
from services.deploy_svc.usecases.grid_usage import GridUsage
from services.kernel.ids import is_id


class GridUsageServicer(GridUsageServiceServicer):
    """See the proto for the contract."""

    def __init__(self, usage: GridUsage) -> None:
        self._usage = usage

    async def CountGridUsage(self, request: pb.CountGridUsageRequest, context: Any) -> pb.CountGridUsageResponse:
        found = await self._usage.count({grid_id for grid_id in request.grid_ids if is_id(grid_id)})
        usages = {
            grid_id: pb.GridUsage(service_count=services, container_count=containers)
            for grid_id, (services, containers) in found.items()
        }
        return pb.CountGridUsageResponse(usages=usages)

    async def FindStatefulNodes(
        self, request: pb.FindStatefulNodesRequest, context: Any
    ) -> pb.FindStatefulNodesResponse:
        found = await self._usage.stateful_nodes({node_id for node_id in request.node_ids if is_id(node_id)})
        return pb.FindStatefulNodesResponse(node_ids=sorted(found))
