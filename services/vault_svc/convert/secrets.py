"""Secrets on the wire."""

from google.protobuf.struct_pb2 import Value

from kontena.vault.v1 import secret_pb2 as pb
from services.kernel.times import shown
from services.vault_svc.domain.plaintext import Plaintext
from services.vault_svc.usecases.secrets import SecretView


def plaintext(value: str, *, present: bool) -> Plaintext | None:
    """A value from a request; None when it was absent or null."""
    return Plaintext(value) if present else None


def flag(value: Value) -> bool:
    """JSON true, or one of the strings `true` and `1`."""
    return value.bool_value or value.string_value in ("true", "1")


def secret(view: SecretView) -> pb.Secret:
    """The wire form of a secret; lists have no value."""
    found = view.secret
    return pb.Secret(
        id=f"{view.grid}/{found.name}",
        name=found.name,
        created_at=shown(found.created_at),
        updated_at=shown(found.updated_at),
        value=None if view.value is None else view.value.reveal(),
        services=[pb.SecretServiceRef(id=service.id, name=service.name) for service in view.services or ()],
        services_unknown=True if view.services is None else None,
    )
