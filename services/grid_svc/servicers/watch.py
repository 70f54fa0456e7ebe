"""GridWatchService."""

from collections.abc import AsyncIterator

from kontena.grid.v1 import watch_pb2 as pb
from kontena.grid.v1.watch_pb2_grpc import GridWatchServiceServicer
from services.grid_svc.convert import watch as convert
from services.grid_svc.usecases.watch import Watches
from services.kernel.methods import Context
from services.kernel.watch import messages


class GridWatchServicer(GridWatchServiceServicer):
    def __init__(self, watches: Watches) -> None:
        self._watches = watches

    async def WatchGrids(self, request: pb.WatchGridsRequest, context: Context) -> AsyncIterator[pb.GridEvent]:
        async for event in messages(pb.GridEvent, self._watches.grids(), convert.grid_record_to_proto):
            yield event

    async def WatchNodes(self, request: pb.WatchNodesRequest, context: Context) -> AsyncIterator[pb.NodeEvent]:
        async for event in messages(pb.NodeEvent, self._watches.nodes(), convert.node_record_to_proto):
            yield event

    async def GetGridRecord(self, request: pb.GetGridRecordRequest, context: Context) -> pb.GridRecord:
        return convert.grid_record_to_proto(await self._watches.grid(request.name))
