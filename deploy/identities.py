"""`python -m deploy.identities FOLDER [PART ...] [--keep] [--owner UID]`: a certificate authority for a suite.

Makes FOLDER/authority, and FOLDER/<part> for each part (all of them, or those that are named) with its certificate, its
key and the authority's certificate (services/kernel/identity.py). What is there stays until a third of its time is
left, or its authority is another one; then it is replaced, file by file, under a process that uses it. With --keep it
looks again every hour, for ever.
"""

import argparse
import datetime
import os
import signal
import sys
import threading
from collections.abc import Iterable
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from services.kernel.callers import CALLERS
from services.kernel.identity import AUTHORITY, CERTIFICATE, KEY

PARTS = tuple(sorted({*CALLERS, *(caller for callers in CALLERS.values() for caller in callers)}))
AUTHORITY_FOLDER, _AUTHORITY_KEY = "authority", "ca.key"
_AUTHORITY_DAYS, _DAYS = 3650, 90
_LOOK_AGAIN_SECONDS = 3600.0
# The clocks of two machines may differ.
_EARLIER = datetime.timedelta(minutes=5)
_PEM = serialization.Encoding.PEM


class Authority:
    """The key that makes names believed. Made in `folder` when there is none."""

    def __init__(self, folder: Path, owner: int | None = None) -> None:
        self._owner = owner
        if not (folder / _AUTHORITY_KEY).exists():
            self._make(folder)
        key = serialization.load_pem_private_key((folder / _AUTHORITY_KEY).read_bytes(), None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise SystemExit(f"{folder / _AUTHORITY_KEY} is not a key of this command")
        self._key = key
        # The first is the one that signs; others that stand behind it are trusted too.
        self.pem = (folder / AUTHORITY).read_bytes()
        self._certificate = x509.load_pem_x509_certificates(self.pem)[0]

    def issue(self, folder: Path, name: str, days: float = _DAYS) -> None:
        """Write a new identity of this name into `folder`, replacing what is there."""
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = (
            _builder(name, self._certificate.subject, days)
            .public_key(key.public_key())
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), False
            )
            .sign(self._key, hashes.SHA256())
        )
        # A reader in between finds a key that does not fit, and stays with what it has.
        _put(folder / AUTHORITY, self.pem, 0o444, self._owner)
        _put(folder / KEY, _private(key), 0o400, self._owner)
        _put(folder / CERTIFICATE, certificate.public_bytes(_PEM), 0o444, self._owner)

    def is_good(self, folder: Path) -> bool:
        """Whether the identity in `folder` is of this authority and has more than a third of its time left."""
        try:
            if (folder / AUTHORITY).read_bytes() != self.pem or not (folder / KEY).exists():
                return False
            found = x509.load_pem_x509_certificate((folder / CERTIFICATE).read_bytes())
        except (OSError, ValueError):
            return False
        lasts = found.not_valid_after_utc - found.not_valid_before_utc
        return found.not_valid_after_utc - datetime.datetime.now(datetime.UTC) > lasts / 3

    def _make(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kontena suite")])
        certificate = (
            _builder("kontena suite", subject, _AUTHORITY_DAYS)
            .public_key(key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(key, hashes.SHA256())
        )
        _put(folder / AUTHORITY, certificate.public_bytes(_PEM), 0o444, None)
        _put(folder / _AUTHORITY_KEY, _private(key), 0o400, None)


def ensure(folder: Path, parts: Iterable[str] = PARTS, owner: int | None = None) -> list[str]:
    """Make what is missing or old; the parts that got a new certificate."""
    authority = Authority(folder / AUTHORITY_FOLDER, owner)
    renewed = [part for part in parts if not authority.is_good(folder / part)]
    for part in renewed:
        authority.issue(folder / part, part)
    return renewed


def main(arguments: list[str] | None = None) -> int:
    """Returns 0; with --keep after SIGTERM."""
    parser = argparse.ArgumentParser(prog="identities", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--keep", action="store_true", help="renew for ever")
    parser.add_argument("--owner", type=int, help="user id that reads the keys; that of the command by default")
    given = parser.parse_args(arguments)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    while True:
        for part in ensure(given.folder, given.parts or PARTS, given.owner):
            sys.stdout.write(f"identities: {part} has a new certificate\n")
        sys.stdout.flush()
        if not given.keep or stop.wait(_LOOK_AGAIN_SECONDS):
            return 0


def _builder(name: str, issuer: x509.Name, days: float) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(issuer)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _EARLIER)
        .not_valid_after(now + datetime.timedelta(days=days))
    )


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def _put(target: Path, content: bytes, mode: int, owner: int | None) -> None:
    """In one step, and never readable by others in between."""
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    partial.unlink(missing_ok=True)
    partial.touch(mode=0o600)
    partial.write_bytes(content)
    partial.chmod(mode)
    # Last, as what belongs to somebody else is not changed any more, but for root with all its rights.
    if owner is not None:
        os.chown(partial, owner, owner)
    partial.replace(target)


if __name__ == "__main__":
    sys.exit(main())
