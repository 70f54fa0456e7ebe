"""ConfigService: decode, call, encode."""

from google.protobuf.empty_pb2 import Empty

from kontena.deploy.v1 import grid_config_pb2 as pb
from kontena.deploy.v1.grid_config_pb2_grpc import GridConfigServiceServicer
from services.deploy_svc.convert.grid_configs import config_to_proto
from services.deploy_svc.domain.grid_config import ConfigView
from services.deploy_svc.usecases.grid_configs import GridConfigs
from services.deploy_svc.usecases.idempotency import Idempotency, once
from services.kernel import pages
from services.kernel.call import principal, reply_created, reply_etag
from services.kernel.members import flag, given
from services.kernel.methods import Context


class GridConfigServicer(GridConfigServiceServicer):
    def __init__(self, configs: GridConfigs, once: Idempotency) -> None:
        self._configs = configs
        self._once = once

    async def ListGridConfigs(self, request: pb.ListGridConfigsRequest, context: Context) -> pb.ListGridConfigsResponse:
        views = await self._configs.list(principal(), request.grid, pages.page(request))
        return pb.ListGridConfigsResponse(configs=map(config_to_proto, views), next=views.next)

    @once
    async def CreateGridConfig(self, request: pb.CreateGridConfigRequest, context: Context) -> pb.GridConfig:
        made = await self._configs.create(principal(), request.grid, **given(request, "name", "content"))
        return _answer(made, created=True)

    async def GetGridConfig(self, request: pb.GetGridConfigRequest, context: Context) -> pb.GridConfig:
        return _answer(await self._configs.get(principal(), request.id))

    async def UpdateGridConfig(self, request: pb.UpdateGridConfigRequest, context: Context) -> pb.GridConfig:
        upsert = flag(request.upsert)
        view, created = await self._configs.update(principal(), request.id, **given(request, "content"), upsert=upsert)
        return _answer(view, created=created)

    async def DeleteGridConfig(self, request: pb.DeleteGridConfigRequest, context: Context) -> Empty:
        await self._configs.delete(principal(), request.id)
        return Empty()


def _answer(view: ConfigView, *, created: bool = False) -> pb.GridConfig:
    reply_etag(view.config.etag)
    if created:
        reply_created()
    return config_to_proto(view)
