"""NodeKeyService."""

from google.protobuf.empty_pb2 import Empty

from kontena.grid.v1 import node_key_pb2 as pb
from kontena.grid.v1.node_key_pb2_grpc import NodeKeyServiceServicer
from services.grid_svc.usecases.node_keys import NodeKeys
from services.kernel import call
from services.kernel.methods import Context


class NodeKeyServicer(NodeKeyServiceServicer):
    def __init__(self, keys: NodeKeys) -> None:
        self._keys = keys

    async def ResetNodeKey(self, request: pb.ResetNodeKeyRequest, context: Context) -> Empty:
        await self._keys.reset(call.principal(), request.id)
        return Empty()
