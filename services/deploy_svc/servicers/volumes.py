"""VolumeService: decode, call, encode."""

from google.protobuf.empty_pb2 import Empty

from kontena.deploy.v1 import volume_pb2 as pb
from kontena.deploy.v1.volume_pb2_grpc import VolumeServiceServicer
from services.deploy_svc.convert.service_spec import attributes_from_proto
from services.deploy_svc.convert.volumes import volume_to_proto
from services.deploy_svc.usecases.idempotency import Idempotency, once
from services.deploy_svc.usecases.volumes import Volumes
from services.kernel import pages
from services.kernel.call import null_fields, principal, reply_created
from services.kernel.methods import Context


class VolumeServicer(VolumeServiceServicer):
    def __init__(self, volumes: Volumes, once: Idempotency) -> None:
        self._volumes = volumes
        self._once = once

    async def ListVolumes(self, request: pb.ListVolumesRequest, context: Context) -> pb.ListVolumesResponse:
        views = await self._volumes.list(principal(), request.grid, pages.page(request))
        return pb.ListVolumesResponse(volumes=map(volume_to_proto, views), next=views.next)

    @once
    async def CreateVolume(self, request: pb.CreateVolumeRequest, context: Context) -> pb.Volume:
        given = attributes_from_proto(request.volume, (), null_fields())
        view = await self._volumes.create(principal(), request.grid, given)
        reply_created()
        return volume_to_proto(view)

    async def GetVolume(self, request: pb.GetVolumeRequest, context: Context) -> pb.Volume:
        return volume_to_proto(await self._volumes.get(principal(), request.id))

    async def DeleteVolume(self, request: pb.DeleteVolumeRequest, context: Context) -> Empty:
        await self._volumes.delete(principal(), request.id)
        return Empty()
