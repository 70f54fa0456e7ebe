"""Identities on the wire."""

from kontena.auth.v1 import introspection_pb2 as pb
from services.auth_svc.store.principals import Identity


def identity_to_proto(identity: Identity | None) -> pb.IntrospectTokenResponse:
    """The principal of a good token, or why there is none."""
    if identity is None or identity.expired:
        return pb.IntrospectTokenResponse(expired=identity is not None)
    found = identity.principal
    principal = pb.Principal(
        user_id=found.user_id,
        email=found.email,
        roles=sorted(found.roles),
        grid_ids=sorted(found.grid_ids),
        scopes=sorted(found.scopes),
        token_id=found.token_id,
    )
    if identity.expires_at is not None:
        principal.expires_at.FromDatetime(identity.expires_at)
    return pb.IntrospectTokenResponse(principal=principal)
