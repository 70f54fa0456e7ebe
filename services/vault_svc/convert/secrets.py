"""Secrets on the wire."""

from collections.abc import Sequence

from kontena.vault.v1 import secret_pb2 as pb
from services.kernel.times import shown
from services.vault_svc.domain.plaintext import Plaintext
from services.vault_svc.domain.secret import Secret, ServiceRef
from services.vault_svc.usecases.secrets import ListedSecret, SecretView


def plaintext_from_proto(value: str, *, present: bool) -> Plaintext | None:
    """A value from a request; None when it was absent or null."""
    return Plaintext(value) if present else None


def secret_to_proto(view: SecretView) -> pb.Secret:
    """The wire form of a secret with its value."""
    message = _own(view.grid, view.secret)
    message.MergeFrom(_users(view.services))
    message.value = view.value.reveal()
    return message


def part(found: tuple[str, Secret]) -> bytes:
    """What is kept of a version of a secret of a grid: nothing of its value."""
    return _own(*found).SerializeToString()


def listed(found: ListedSecret) -> bytes:
    """The wire form of a secret in a list, encoded."""
    return found.encoded + (_users(found.services).SerializeToString() if found.services != () else b"")


def _own(grid: str, found: Secret) -> pb.Secret:
    return pb.Secret(
        id=f"{grid}/{found.name}",
        name=found.name,
        created_at=shown(found.created_at),
        updated_at=shown(found.updated_at),
    )


def _users(services: Sequence[ServiceRef] | None) -> pb.Secret:
    return pb.Secret(
        services=[pb.SecretServiceRef(id=service.id, name=service.name) for service in services or ()],
        services_unknown=True if services is None else None,
    )
