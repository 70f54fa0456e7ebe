"""AccessTokenService."""

from google.protobuf.empty_pb2 import Empty

from kontena.auth.v1 import access_token_pb2 as pb
from kontena.auth.v1.access_token_pb2_grpc import AccessTokenServiceServicer
from services.auth_svc.convert.access_tokens import token_to_proto
from services.auth_svc.usecases.access_tokens import AccessTokens
from services.auth_svc.usecases.config import Config
from services.kernel import call, pages
from services.kernel.methods import Context


class AccessTokenServicer(AccessTokenServiceServicer):
    """Shows tokens without their values."""

    def __init__(self, tokens: AccessTokens, config: Config) -> None:
        self._tokens = tokens
        self._config = config

    async def ListAccessTokens(
        self, request: pb.ListAccessTokensRequest, context: Context
    ) -> pb.ListAccessTokensResponse:
        tokens = await self._tokens.list_own(call.principal(), pages.page(request))
        server_name = await self._config.server_name()
        return pb.ListAccessTokensResponse(
            tokens=[token_to_proto(token, server_name) for token in tokens], next=tokens.next
        )

    async def GetAccessToken(self, request: pb.GetAccessTokenRequest, context: Context) -> pb.AccessToken:
        return token_to_proto(*await self._tokens.get(call.principal(), request.id))

    async def DeleteAccessToken(self, request: pb.DeleteAccessTokenRequest, context: Context) -> Empty:
        await self._tokens.delete(call.principal(), request.id)
        return Empty()
