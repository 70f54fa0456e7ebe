"""GridMembershipService."""

from collections.abc import AsyncIterator

from google.protobuf.empty_pb2 import Empty

from kontena.auth.v1 import membership_pb2 as pb
from kontena.auth.v1.membership_pb2_grpc import GridMembershipServiceServicer
from services.auth_svc.domain.grid_members import GridMembers
from services.auth_svc.usecases.memberships import Memberships
from services.kernel.methods import Context
from services.kernel.watch import messages


class GridMembershipServicer(GridMembershipServiceServicer):
    def __init__(self, memberships: Memberships) -> None:
        self._memberships = memberships

    async def AddGridMember(self, request: pb.AddGridMemberRequest, context: Context) -> Empty:
        await self._memberships.add(request.grid_id, request.user_id)
        return Empty()

    async def RemoveGrid(self, request: pb.RemoveGridRequest, context: Context) -> Empty:
        await self._memberships.remove_grid(request.grid_id)
        return Empty()

    async def WatchGridMembers(
        self, request: pb.WatchGridMembersRequest, context: Context
    ) -> AsyncIterator[pb.GridMembersEvent]:
        async for event in messages(pb.GridMembersEvent, self._memberships.follow(), _record):
            yield event

    async def CountGridMembers(
        self, request: pb.CountGridMembersRequest, context: Context
    ) -> pb.CountGridMembersResponse:
        return pb.CountGridMembersResponse(user_counts=await self._memberships.count(request.grid_ids))


def _record(found: GridMembers) -> pb.GridMembersRecord:
    return pb.GridMembersRecord(grid_id=found.id, user_count=found.users)
