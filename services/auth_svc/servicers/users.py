"""UserService."""

from google.protobuf.empty_pb2 import Empty

from kontena.auth.v1 import user_pb2 as pb
from kontena.auth.v1.user_pb2_grpc import UserServiceServicer
from services.auth_svc.convert.users import user_to_proto
from services.auth_svc.usecases.users import Users
from services.kernel import call, pages
from services.kernel.methods import Context


class UserServicer(UserServiceServicer):
    def __init__(self, users: Users) -> None:
        self._users = users

    async def GetCurrentUser(self, request: pb.GetCurrentUserRequest, context: Context) -> pb.User:
        return user_to_proto(await self._users.current(call.principal()))

    async def ListUsers(self, request: pb.ListUsersRequest, context: Context) -> pb.ListUsersResponse:
        found = await self._users.list_all(call.principal(), pages.page(request))
        return pb.ListUsersResponse(users=map(user_to_proto, found), next=found.next)

    async def DeleteUser(self, request: pb.DeleteUserRequest, context: Context) -> Empty:
        await self._users.delete(call.principal(), request.email)
        return Empty()

    async def AssignRole(self, request: pb.AssignRoleRequest, context: Context) -> pb.User:
        role = request.role if request.HasField("role") else None
        user = await self._users.assign(call.principal(), request.email, role)
        call.reply_created()
        return user_to_proto(user)

    async def UnassignRole(self, request: pb.UnassignRoleRequest, context: Context) -> pb.User:
        return user_to_proto(await self._users.unassign(call.principal(), request.email, request.role))
