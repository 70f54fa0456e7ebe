"""NodeTokenService."""

from google.protobuf.empty_pb2 import Empty

from kontena.grid.v1 import node_token_pb2 as pb
from kontena.grid.v1.node_token_pb2_grpc import NodeTokenServiceServicer
from services.grid_svc.usecases.node_tokens import NodeTokens
from services.kernel import call
from services.kernel.methods import Context


class NodeTokenServicer(NodeTokenServiceServicer):
    def __init__(self, tokens: NodeTokens) -> None:
        self._tokens = tokens

    async def GetNodeToken(self, request: pb.GetNodeTokenRequest, context: Context) -> pb.NodeToken:
        node, token = await self._tokens.get(call.principal(), request.id)
        return pb.NodeToken(id=node, token=token)

    async def SetNodeToken(self, request: pb.SetNodeTokenRequest, context: Context) -> pb.NodeToken:
        given = request.token if request.HasField("token") else None
        node, token = await self._tokens.set(call.principal(), request.id, given, reset=request.reset_connection)
        return pb.NodeToken(id=node, token=token)

    async def ClearNodeToken(self, request: pb.ClearNodeTokenRequest, context: Context) -> Empty:
        await self._tokens.clear(call.principal(), request.id, reset=request.reset_connection)
        return Empty()
