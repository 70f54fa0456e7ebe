"""EndpointService: where the instances of a node's grid are."""

from collections.abc import AsyncIterator

from kontena.deploy.v1 import endpoint_pb2 as pb
from kontena.deploy.v1.endpoint_pb2_grpc import EndpointServiceServicer
from services.deploy_svc.convert import endpoints as convert
from services.deploy_svc.usecases.endpoints import Endpoints
from services.kernel import call
from services.kernel.methods import Context


class EndpointServicer(EndpointServiceServicer):
    """Translates; the grid comes from the token."""

    def __init__(self, endpoints: Endpoints) -> None:
        self._endpoints = endpoints

    async def WatchEndpoints(
        self, request: pb.WatchEndpointsRequest, context: Context
    ) -> AsyncIterator[pb.EndpointUpdate]:
        session = call.node_session()
        async for update in self._endpoints.watch(session):
            yield convert.update_to_proto(update)
