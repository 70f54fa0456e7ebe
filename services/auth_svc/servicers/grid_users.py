"""GridUserService."""

from kontena.auth.v1 import grid_user_pb2 as pb
from kontena.auth.v1.grid_user_pb2_grpc import GridUserServiceServicer
from services.auth_svc.convert.users import user_to_proto
from services.auth_svc.domain.user import User
from services.auth_svc.usecases.grid_users import GridUsers
from services.kernel import call, pages
from services.kernel.methods import Context
from services.kernel.pages import Listing


class GridUserServicer(GridUserServiceServicer):
    def __init__(self, grid_users: GridUsers) -> None:
        self._grid_users = grid_users

    async def ListGridUsers(self, request: pb.ListGridUsersRequest, context: Context) -> pb.GridUsers:
        return _users(await self._grid_users.members(call.principal(), request.grid, pages.page(request)))

    async def AddGridUser(self, request: pb.AddGridUserRequest, context: Context) -> pb.GridUsers:
        users = await self._grid_users.add(call.principal(), request.grid, request.email)
        call.reply_created()
        return _users(users)

    async def RemoveGridUser(self, request: pb.RemoveGridUserRequest, context: Context) -> pb.GridUsers:
        return _users(await self._grid_users.remove(call.principal(), request.grid, request.email))


def _users(users: Listing[User]) -> pb.GridUsers:
    return pb.GridUsers(users=map(user_to_proto, users), next=users.next)
