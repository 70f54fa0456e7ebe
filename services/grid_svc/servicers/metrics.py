"""MetricsService."""

from kontena.grid.v1 import metrics_pb2 as pb
from kontena.grid.v1.metrics_pb2_grpc import MetricsServiceServicer
from services.grid_svc.convert import metrics as convert
from services.grid_svc.usecases.metrics import Metrics
from services.kernel import call
from services.kernel.methods import Context


class MetricsServicer(MetricsServiceServicer):
    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    async def GetNodeMetrics(self, request: pb.GetNodeMetricsRequest, context: Context) -> pb.Metrics:
        # `from` is a word of the language.
        found = await self._metrics.node(call.principal(), request.id, getattr(request, "from"), request.to)
        return convert.metrics_to_proto(*found)

    async def GetGridMetrics(self, request: pb.GetGridMetricsRequest, context: Context) -> pb.Metrics:
        found = await self._metrics.grid(call.principal(), request.grid, getattr(request, "from"), request.to)
        return convert.metrics_to_proto(*found)
