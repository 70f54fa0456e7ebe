"""What each kind of ciphertext is bound to: the kind of record, its grid, name and id, and the field."""

from collections.abc import Callable

from services.vault_svc.domain.envelope import Binding

# From grid id, name and record id.
Bind = Callable[[str, str, str], Binding]


def secret(grid_id: str, name: str, record_id: str) -> Binding:
    """The value of a secret."""
    return Binding("secret", grid_id, name, record_id, "value")


def registry(grid_id: str, name: str, record_id: str) -> Binding:
    """The password of a registry."""
    return Binding("registry", grid_id, name, record_id, "password")


def certificate(grid_id: str, subject: str, record_id: str) -> Binding:
    """The private key of a certificate."""
    return Binding("certificate", grid_id, subject, record_id, "private_key")


def authorization(grid_id: str, domain: str, record_id: str) -> Binding:
    """The certificate and key of a tls-alpn-01 challenge."""
    return Binding("authorization", grid_id, domain, record_id, "tls_key")


def order(grid_id: str, names: str, record_id: str) -> Binding:
    """The private key of a certificate that is being issued."""
    return Binding("order", grid_id, names, record_id, "private_key")
