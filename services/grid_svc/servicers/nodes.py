"""NodeService."""

from typing import Any

from google.protobuf.empty_pb2 import Empty

from kontena.grid.v1 import node_pb2 as pb
from kontena.grid.v1.node_pb2_grpc import NodeServiceServicer
from services.grid_svc.convert import node as convert
from services.grid_svc.usecases.nodes import Nodes, NodeView
from services.kernel import call, pages
from services.kernel.encoded import listing
from services.kernel.masks import narrowed
from services.kernel.methods import Context

_NOT_MASKED = ("id", "update_mask")


class NodeServicer(NodeServiceServicer):
    def __init__(self, nodes: Nodes) -> None:
        self._nodes = nodes

    async def ListNodes(self, request: pb.ListNodesRequest, context: Context) -> Any:
        found = await self._nodes.list(call.principal(), request.grid, pages.page(request))
        return listing(pb.ListNodesResponse, "nodes", convert.joined(found), pb.ListNodesResponse(next=found.next))

    async def CreateNode(self, request: pb.CreateNodeRequest, context: Context) -> pb.Node:
        created = await self._nodes.create(call.principal(), request.grid, convert.new_node_from_proto(request))
        call.reply_created()
        return _answer(created)

    async def GetNodeHealth(self, request: pb.GetNodeHealthRequest, context: Context) -> pb.NodeHealth:
        return convert.health_to_proto(await self._nodes.health(call.principal(), request.id))

    async def GetNode(self, request: pb.GetNodeRequest, context: Context) -> Any:
        found = await self._nodes.get(call.principal(), request.id)
        call.reply_etag(found.part.etag)
        return next(convert.joined([found]))

    async def UpdateNode(self, request: pb.UpdateNodeRequest, context: Context) -> pb.Node:
        changes = convert.changes_from_proto(
            narrowed(request, request.update_mask, but=_NOT_MASKED), call.present_fields(request.update_mask)
        )
        return _answer(await self._nodes.update(call.principal(), request.id, changes))

    async def DeleteNode(self, request: pb.DeleteNodeRequest, context: Context) -> Empty:
        await self._nodes.delete(call.principal(), request.id)
        return Empty()


def _answer(view: NodeView) -> pb.Node:
    call.reply_etag(view.node.etag)
    return convert.node_to_proto(view)
