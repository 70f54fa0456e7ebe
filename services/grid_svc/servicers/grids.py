"""GridService."""

from google.protobuf.empty_pb2 import Empty

from kontena.grid.v1 import grid_pb2 as pb
from kontena.grid.v1.grid_pb2_grpc import GridServiceServicer
from services.grid_svc.convert import grid as convert
from services.grid_svc.usecases.grids import Grids, GridView
from services.kernel import call, pages
from services.kernel.masks import narrowed
from services.kernel.methods import Context

_NOT_MASKED = ("grid", "update_mask")


class GridServicer(GridServiceServicer):
    def __init__(self, grids: Grids) -> None:
        self._grids = grids

    async def ListGrids(self, request: pb.ListGridsRequest, context: Context) -> pb.ListGridsResponse:
        views = await self._grids.list(call.principal(), pages.page(request))
        return pb.ListGridsResponse(grids=map(convert.grid_to_proto, views), next=views.next)

    async def CreateGrid(self, request: pb.CreateGridRequest, context: Context) -> pb.Grid:
        view = await self._grids.create(call.principal(), convert.new_grid_from_proto(request))
        call.reply_created()
        return _answer(view)

    async def GetGrid(self, request: pb.GetGridRequest, context: Context) -> pb.Grid:
        return _answer(await self._grids.get(call.principal(), request.grid))

    async def UpdateGrid(self, request: pb.UpdateGridRequest, context: Context) -> pb.Grid:
        changes = convert.changes_from_proto(
            narrowed(request, request.update_mask, but=_NOT_MASKED), call.present_fields(request.update_mask)
        )
        return _answer(await self._grids.update(call.principal(), request.grid, changes))

    async def RotateGridToken(self, request: pb.RotateGridTokenRequest, context: Context) -> pb.Grid:
        token = request.token if request.HasField("token") else None
        return _answer(await self._grids.rotate_token(call.principal(), request.grid, token))

    async def DeleteGrid(self, request: pb.DeleteGridRequest, context: Context) -> Empty:
        await self._grids.delete(call.principal(), request.grid)
        return Empty()


def _answer(view: GridView) -> pb.Grid:
    call.reply_etag(view.grid.etag)
    return convert.grid_to_proto(view)
