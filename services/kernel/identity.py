"""Who a process of the suite is: its certificate, the key of that, and whom it trusts, in a folder as cert-manager
fills one (`tls.crt`, `tls.key`, `ca.crt`). The files are followed: a new certificate counts for the next connection.
"""

import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from services.kernel.logs import get_logger

log = get_logger(__name__)

CERTIFICATE, KEY, AUTHORITY = "tls.crt", "tls.key", "ca.crt"
_LOOK_AGAIN_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Files:
    """What the files of an identity held at one time, in PEM."""

    certificate: bytes
    key: bytes = field(repr=False)
    authority: bytes

    def channel_credentials(self) -> grpc.ChannelCredentials:
        """For a connection to another part."""
        return grpc.ssl_channel_credentials(self.authority, self.key, self.certificate)

    def server_configuration(self) -> Any:
        """For connections from other parts."""
        return grpc.ssl_server_certificate_configuration([(self.key, self.certificate)], self.authority)


class Identity:
    """The identity in `folder`. Raises ValueError, which names the file, when there is none at the start; later what is
    no good is logged, and the one before stays."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._files = _read(folder)
        self._looked_at = time.monotonic()
        self._fault = ""

    def files(self) -> Files:
        """What counts now."""
        if time.monotonic() - self._looked_at > _LOOK_AGAIN_SECONDS:
            self._looked_at = time.monotonic()
            try:
                self._files, fault = _read(self.folder), ""
            except ValueError as error:
                fault = str(error)
            if fault != self._fault and fault:
                log.error("the identity of before stays in use", reason=fault)
            self._fault = fault
        return self._files

    def server_credentials(self) -> grpc.ServerCredentials:
        """Takes connections of those only whose certificate the authority signed."""
        used = self.files()

        def changed() -> Any:
            nonlocal used
            if (now := self.files()) == used:
                return None
            used = now
            return now.server_configuration()

        return grpc.dynamic_ssl_server_credentials(
            used.server_configuration(), changed, require_client_authentication=True
        )

    def server_context(self) -> ssl.SSLContext:
        """The same for servers that are not gRPC's."""
        used, context = self.files(), _server_context(self.folder, self._files)
        current = context

        def pick(connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
            nonlocal used, current
            if (now := self.files()) != used:
                used, current = now, _server_context(self.folder, now)
            connection.context = current

        context.sni_callback = pick
        return context


@dataclass(frozen=True, slots=True)
class Callee:
    """The other end of a channel: who has to answer, and who calls."""

    name: str
    identity: Identity

    def open(self, target: str, options: Sequence[tuple[str, Any]], interceptors: Any = ()) -> grpc.aio.Channel:
        """A channel to the target, where nobody else than the callee is talked to."""
        named = (*options, ("grpc.ssl_target_name_override", self.name))
        credentials = self.identity.files().channel_credentials()
        return grpc.aio.secure_channel(target, credentials, options=named, interceptors=interceptors)


def names_in(auth_context: Any) -> frozenset[str]:
    """The names in the certificate with which a call came."""
    return frozenset(name.decode() for name in auth_context.get("x509_subject_alternative_name", ()))


def names_of(peer_certificate: Any) -> frozenset[str]:
    """The same for a connection of `ssl`."""
    return frozenset(name for kind, name in (peer_certificate or {}).get("subjectAltName", ()) if kind == "DNS")


def _read(folder: Path) -> Files:
    try:
        files = Files(*((folder / name).read_bytes() for name in (CERTIFICATE, KEY, AUTHORITY)))
    except OSError as error:
        raise ValueError(f"MTLS_FOLDER: {error.filename}: {error.strerror}") from None
    own = _parsed(folder / CERTIFICATE, files.certificate)
    _parsed(folder / AUTHORITY, files.authority)
    try:
        key = load_pem_private_key(files.key, None)
    except (ValueError, TypeError):
        raise ValueError(f"MTLS_FOLDER: {folder / KEY} holds no private key in PEM without a passphrase") from None
    if own.public_key() != key.public_key():
        raise ValueError(f"MTLS_FOLDER: {folder / KEY} is not the key of {folder / CERTIFICATE}")
    return files


def _parsed(path: Path, pem: bytes) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificates(pem)[0]
    except ValueError:
        raise ValueError(f"MTLS_FOLDER: {path} holds no certificate in PEM") from None


def _server_context(folder: Path, files: Files) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=files.authority.decode())
    context.load_cert_chain(folder / CERTIFICATE, folder / KEY)
    # A resumed session would not be asked for its certificate again.
    context.num_tickets = 0
    return context
