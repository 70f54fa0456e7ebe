"""InstanceService: decode, call, encode."""

from google.protobuf.empty_pb2 import Empty

from kontena.deploy.v1 import instance_pb2 as pb
from kontena.deploy.v1.instance_pb2_grpc import InstanceServiceServicer
from services.deploy_svc.convert.instances import instance_to_proto
from services.deploy_svc.usecases.instances import Instances
from services.kernel import pages
from services.kernel.call import principal
from services.kernel.methods import Context


class InstanceServicer(InstanceServiceServicer):
    def __init__(self, instances: Instances) -> None:
        self._instances = instances

    async def ListInstances(self, request: pb.ListInstancesRequest, context: Context) -> pb.ListInstancesResponse:
        found = await self._instances.of_service(principal(), request.id, pages.page(request))
        return pb.ListInstancesResponse(instances=map(instance_to_proto, found), next=found.next)

    async def GetInstance(self, request: pb.GetInstanceRequest, context: Context) -> pb.Instance:
        return instance_to_proto(await self._instances.get(principal(), request.id, request.instance_id))

    async def DeleteInstance(self, request: pb.DeleteInstanceRequest, context: Context) -> Empty:
        await self._instances.detach(principal(), request.id, request.instance_id)
        return Empty()
