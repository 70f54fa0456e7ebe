"""GridJoinService."""

from typing import Any

from kontena.grid.v1 import grid_join_pb2 as pb
from kontena.grid.v1.grid_join_pb2_grpc import GridJoinServiceServicer
from services.grid_svc.usecases.grid_joins import GridJoins
from services.kernel import call


class GridJoinServicer(GridJoinServiceServicer):
    def __init__(self, joins: GridJoins) -> None:
        self._joins = joins

    async def GetGridJoin(self, request: pb.GetGridJoinRequest, context: Any) -> pb.GridJoin:
        found = await self._joins.get(call.principal(), request.grid, request.uri)
        return pb.GridJoin(grid=found.grid, uri=found.uri, systemd=found.systemd, container=found.container)
