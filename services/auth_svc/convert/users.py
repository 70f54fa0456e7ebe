"""Accounts on the wire."""

from kontena.auth.v1 import user_pb2 as pb
from services.auth_svc.domain.user import User


def user_to_proto(user: User) -> pb.User:
    """The account with its roles."""
    roles = [pb.Role(name=role.name, description=role.description) for role in user.roles]
    return pb.User(id=user.id, email=user.email, name=user.name, roles=roles)
