"""UserService."""

from typing import Any

from kontena.auth.v1 import user_pb2 as pb
from kontena.auth.v1.user_pb2_grpc import UserServiceServicer
from services.auth_svc.convert.users import user_to_proto
from services.auth_svc.usecases.users import Users
from services.kernel import call


class UserServicer(UserServiceServicer):
    """Shows accounts."""

    def __init__(self, users: Users) -> None:
        self._users = users

    async def GetCurrentUser(self, request: pb.GetCurrentUserRequest, context: Any) -> pb.User:
        return user_to_proto(await self._users.current(call.principal()))
