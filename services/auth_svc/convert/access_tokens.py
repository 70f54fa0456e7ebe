"""Access tokens as clients see them."""

from kontena.auth.v1 import access_token_pb2 as pb
from services.auth_svc.domain.access_token import AccessToken, IssuedToken, Values


def token_to_proto(token: AccessToken, server_name: str | None, values: Values | None = None) -> pb.AccessToken:
    """The bearer form or the code form (docs/spec/auth_grid.md section 8.1); values only for a token just made."""
    values = values or Values()
    message = pb.AccessToken(
        id=token.id,
        scopes=",".join(token.scopes),
        description=token.description,
        user=pb.TokenUser(id=token.owner.id, email=token.owner.email, name=token.owner.name or None),
        server=pb.TokenServer(name=server_name),
    )
    if token.kind == "authorization_code":
        message.MergeFrom(pb.AccessToken(grant_type=token.kind, code=values.code))
    else:
        message.MergeFrom(
            pb.AccessToken(
                token_type=token.kind,
                access_token=values.access,
                refresh_token=values.refresh,
                access_token_last_four=token.access_last_four,
                refresh_token_last_four=token.refresh_last_four,
                expires_in=token.expires_in,
            )
        )
    return message


def issued_to_proto(issued: IssuedToken, server_name: str | None) -> pb.AccessToken:
    """A token just made, with its values."""
    return token_to_proto(issued.token, server_name, issued.values)
