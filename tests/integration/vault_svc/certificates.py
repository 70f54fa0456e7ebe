"""Certificates of all kinds, made for a test."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)


@dataclass(frozen=True)
class Made:
    """PEM texts; `chain` is a list, as an import takes it."""

    certificate: str
    key: str
    chain: list[str]

    def encrypted_key(self) -> str:
        found = load_pem_private_key(self.key.encode(), None)
        return found.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"passphrase")).decode()


def make(*names: str, kind: str = "rsa", common_name: bool = True) -> Made:
    """A certificate by an authority of its own; the first name is the common name."""
    issuer_key, issuer = _signed(None, "an issuer", ())
    key: Any = _key() if kind in {"ec", "sec1"} else rsa.generate_private_key(public_exponent=65537, key_size=2048)
    _, leaf = _signed(issuer_key, names[0] if names and common_name else None, names, key)
    form = PrivateFormat.PKCS8 if kind in {"ec", "pkcs8"} else PrivateFormat.TraditionalOpenSSL
    return Made(leaf, key.private_bytes(Encoding.PEM, form, NoEncryption()).decode(), [issuer])


def _key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def _signed(signer: Any, common_name: str | None, names: tuple[str, ...], key: Any = None) -> tuple[Any, str]:
    key = key or _key()
    now = datetime.now(UTC)
    attributes = [x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)] if common_name else []
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name(attributes))
        .issuer_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "an issuer")]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=90))
    )
    if names:
        san = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
        builder = builder.add_extension(san, critical=False)
    return key, builder.sign(signer or key, SHA256()).public_bytes(Encoding.PEM).decode()
