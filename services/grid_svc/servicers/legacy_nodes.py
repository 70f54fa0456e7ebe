"""LegacyNodeService."""

from kontena.grid.v1 import legacy_node_pb2 as pb
from kontena.grid.v1 import node_pb2
from kontena.grid.v1.legacy_node_pb2_grpc import LegacyNodeServiceServicer
from services.grid_svc.convert import node as convert
from services.grid_svc.convert.node_session import join_tokens
from services.grid_svc.usecases.legacy_nodes import LegacyNodes
from services.kernel import call
from services.kernel.masks import narrowed
from services.kernel.methods import Context, texts

_NOT_MASKED = ("node_id", "update_mask")


class LegacyNodeServicer(LegacyNodeServiceServicer):
    """Shows nodes to whoever has the join token of their grid."""

    def __init__(self, nodes: LegacyNodes) -> None:
        self._nodes = nodes

    async def GetLegacyNode(self, request: pb.GetLegacyNodeRequest, context: Context) -> node_pb2.Node:
        token = join_tokens(texts(context)).grid
        return convert.node_to_proto(await self._nodes.get(token, request.node_id))

    async def UpdateLegacyNode(self, request: pb.UpdateLegacyNodeRequest, context: Context) -> node_pb2.Node:
        token = join_tokens(texts(context)).grid
        changes = convert.label_changes_from_proto(
            narrowed(request, request.update_mask, but=_NOT_MASKED), call.present_fields(request.update_mask)
        )
        return convert.node_to_proto(await self._nodes.update(token, request.node_id, changes))
