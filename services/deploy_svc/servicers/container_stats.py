"""ContainerStatsService and StatsIngestService: decode, call, encode."""

from kontena.deploy.v1 import stats_pb2 as pb
from kontena.deploy.v1.stats_pb2_grpc import ContainerStatsServiceServicer, StatsIngestServiceServicer
from services.deploy_svc.convert.container_stats import current_to_proto, metrics_to_proto, sample_from_proto
from services.deploy_svc.usecases.container_stats import ContainerStats, StatsIngest
from services.kernel.call import node_session, principal
from services.kernel.methods import Context


class ContainerStatsServicer(ContainerStatsServiceServicer):
    def __init__(self, stats: ContainerStats) -> None:
        self._stats = stats

    async def ListServiceStats(
        self, request: pb.ListServiceStatsRequest, context: Context
    ) -> pb.ListServiceStatsResponse:
        found = await self._stats.of_service(principal(), request.id, request.sort, request.limit)
        return pb.ListServiceStatsResponse(stats=current_to_proto(found))

    async def ListGridStats(self, request: pb.ListGridStatsRequest, context: Context) -> pb.ListGridStatsResponse:
        found = await self._stats.of_grid(principal(), request.grid, request.sort, request.limit)
        return pb.ListGridStatsResponse(stats=current_to_proto(found))

    async def ListNodeStats(self, request: pb.ListNodeStatsRequest, context: Context) -> pb.ListNodeStatsResponse:
        found = await self._stats.of_node(principal(), request.id, request.sort, request.limit)
        return pb.ListNodeStatsResponse(stats=current_to_proto(found))

    async def GetServiceMetrics(self, request: pb.GetServiceMetricsRequest, context: Context) -> pb.ServiceMetrics:
        found = await self._stats.metrics(principal(), request.id, getattr(request, "from"), request.to)
        return metrics_to_proto(*found)


class StatsIngestServicer(StatsIngestServiceServicer):
    def __init__(self, ingest: StatsIngest) -> None:
        self._ingest = ingest

    async def PushStats(self, request: pb.PushStatsRequest, context: Context) -> pb.PushStatsResponse:
        session = node_session()
        await self._ingest.push(session, [sample_from_proto(sample) for sample in request.samples])
        return pb.PushStatsResponse()
