"""Certificates for tests of TLS."""

import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def self_signed(folder: Path, name: str = "localhost") -> tuple[Path, Path]:
    """Write `cert.pem` and `key.pem` for `name`, as a tool would that replaces files."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    replaced(folder / "cert.pem", certificate.public_bytes(pem))
    unencrypted = serialization.NoEncryption()
    replaced(folder / "key.pem", key.private_bytes(pem, serialization.PrivateFormat.PKCS8, unencrypted))
    return folder / "cert.pem", folder / "key.pem"


def replaced(target: Path, content: bytes) -> None:
    partial = target.with_suffix(".new")
    partial.write_bytes(content)
    partial.replace(target)
