"""The file that a grid's vault is exported to: encrypted with a passphrase, in a versioned format.

    "KVLT" | version(1) = 01 | log2 of the scrypt cost(1) | salt(16) | nonce(12) | ciphertext(n + 16)

The key is scrypt (RFC 7914, r = 8, p = 1) of the passphrase, the cipher AES-256-GCM with everything before the
ciphertext as associated data, the plaintext JSON. The keys of the vault are not in it and not needed to read it.
"""

import json
import os
from dataclasses import dataclass, field
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

SHORTEST_PASSPHRASE = 12
_MAGIC = b"KVLT"
_VERSION = 1
_COST = 17
_MOST_COST = 22
_SALT, _NONCE = 16, 12
_HEAD = len(_MAGIC) + 2 + _SALT + _NONCE


class Unreadable(Exception):
    """No export, of another version, damaged, or another passphrase. Says which, never more."""


@dataclass(frozen=True, slots=True)
class Contents:
    """Everything of a grid's vault in clear: rows by table, without what only one installation can use."""

    grid: str
    secrets: list[dict[str, Any]] = field(default_factory=list, repr=False)
    registries: list[dict[str, Any]] = field(default_factory=list, repr=False)
    certificates: list[dict[str, Any]] = field(default_factory=list, repr=False)
    authorizations: list[dict[str, Any]] = field(default_factory=list, repr=False)


def check_passphrase(passphrase: str) -> None:
    """Raises ValueError for one that is too short."""
    if len(passphrase) < SHORTEST_PASSPHRASE:
        raise ValueError(f"a passphrase needs at least {SHORTEST_PASSPHRASE} characters")


def encrypt(contents: Contents, passphrase: str, *, cost: int = _COST) -> bytes:
    """The bytes of the file. `cost` is the base-2 logarithm of scrypt's n; lower ones are for tests."""
    check_passphrase(passphrase)
    plain = json.dumps({name: getattr(contents, name) for name in Contents.__slots__}).encode()
    # Chance is not a parameter here, for the reason given in envelope.py.
    head = _MAGIC + bytes((_VERSION, cost)) + os.urandom(_SALT) + os.urandom(_NONCE)
    return head + _cipher(head, passphrase).encrypt(head[-_NONCE:], plain, head)


def decrypt(data: bytes, passphrase: str) -> Contents:
    """What was exported. Raises Unreadable."""
    head = data[:_HEAD]
    if len(data) <= _HEAD or not data.startswith(_MAGIC):
        raise Unreadable("this is no export of a vault")
    if head[len(_MAGIC)] != _VERSION:
        raise Unreadable(f"this export has version {head[len(_MAGIC)]}, known is {_VERSION}")
    if not 0 < head[len(_MAGIC) + 1] <= _MOST_COST:
        # With a larger one it would take gigabytes of memory to find out that the file is damaged.
        raise Unreadable("this export is damaged")
    try:
        plain = _cipher(head, passphrase).decrypt(head[-_NONCE:], data[_HEAD:], head)
    except InvalidTag:
        raise Unreadable("the passphrase is wrong, or the export is damaged") from None
    return Contents(**json.loads(plain))


def _cipher(head: bytes, passphrase: str) -> AESGCM:
    salt = head[len(_MAGIC) + 2 : -_NONCE]
    kdf = Scrypt(salt=salt, length=32, n=1 << head[len(_MAGIC) + 1], r=8, p=1)
    return AESGCM(kdf.derive(passphrase.encode()))
