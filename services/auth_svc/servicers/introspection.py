"""IntrospectionService."""

from collections.abc import AsyncIterator

from kontena.auth.v1 import introspection_pb2 as pb
from kontena.auth.v1.introspection_pb2_grpc import IntrospectionServiceServicer
from services.auth_svc.convert.introspection import identity_to_proto
from services.auth_svc.usecases.introspection import Introspection
from services.kernel.methods import Context


class IntrospectionServicer(IntrospectionServiceServicer):
    def __init__(self, introspection: Introspection) -> None:
        self._introspection = introspection

    async def IntrospectToken(self, request: pb.IntrospectTokenRequest, context: Context) -> pb.IntrospectTokenResponse:
        return identity_to_proto(await self._introspection.find(request.token))

    async def WatchInvalidations(
        self, request: pb.WatchInvalidationsRequest, context: Context
    ) -> AsyncIterator[pb.Invalidation]:
        async for user_id in self._introspection.invalidations():
            yield pb.Invalidation(user_id=user_id)
