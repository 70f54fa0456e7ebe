"""Encryption of stored values: AES-256-GCM, bound to the place where a value belongs.

    version(1) = 01 | key id(8) | nonce(12) | ciphertext(n + 16)

A key is made of a text by HKDF-SHA256 (RFC 5869): once for the 32 bytes that encrypt, once for the id that is stored
with everything it encrypted. HKDF does not stretch passwords: use 32 random bytes, e.g. `openssl rand -base64 32`.
"""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from services.kernel.errors import Unavailable

OVERHEAD = 37
_VERSION = b"\x01"
_ID = 8
_NONCE = 12
_DATA_FROM = 1 + _ID + _NONCE


class Undecryptable(Unavailable):
    """A stored value does not open: wrong or missing key, damaged or moved. Tells its name, never the content; the log
    gets record and key."""

    reason = "VALUE_UNREADABLE"

    def __init__(self, name: str, record: str, key_id: str) -> None:
        way_out = "write it anew, or name its key in VAULT_OLD_KEYS"
        super().__init__(f"The value of {name} was written with another key than this service has: {way_out}")
        self.cause = f"{record} does not decrypt with key {key_id}"


@dataclass(frozen=True, slots=True)
class Key:
    """The public id (16 hexadecimal characters) and what encrypts."""

    id: str
    cipher: AESGCM = field(repr=False)


@dataclass(frozen=True, slots=True)
class Keyring:
    """The key that encrypts, and all keys that may decrypt, the current one included."""

    current: Key
    by_id: Mapping[str, Key] = field(repr=False)

    @classmethod
    def of(cls, current: Key, others: Iterable[Key]) -> "Keyring":
        """The current key and others that only decrypt."""
        return cls(current, {key.id: key for key in (*others, current)})


@dataclass(frozen=True, slots=True)
class Derivation:
    """How one use makes keys: what one use encrypted does not open for another, under the same text. A changed one
    makes everything unreadable that was stored with it."""

    salt: bytes
    id: bytes
    key: bytes

    def derive(self, text: str) -> Key:
        """The key of a text; white space around it does not count."""
        return Key(self._expand(text, self.id, _ID).hex(), AESGCM(self._expand(text, self.key, 32)))

    def keyring(self, current: str, others: Iterable[str]) -> Keyring:
        """The keyring of texts; the others only decrypt."""
        return Keyring.of(self.derive(current), map(self.derive, others))

    def _expand(self, text: str, info: bytes, length: int) -> bytes:
        return HKDF(algorithm=SHA256(), length=length, salt=self.salt, info=info).derive(text.strip().encode())


def seal(keyring: Keyring, bound_to: bytes, data: bytes) -> bytes:
    """Encrypt with the current key. Equal values look different."""
    # The one place where chance is not a parameter: a repeated nonce would break the encryption, so none can be passed.
    nonce = os.urandom(_NONCE)
    key = keyring.current
    return _VERSION + bytes.fromhex(key.id) + nonce + key.cipher.encrypt(nonce, data, bound_to)


def unseal(keyring: Keyring, bound_to: bytes, sealed: bytes, name: str, record: str) -> bytes:
    """Decrypt with whichever key sealed it. Raises Undecryptable: the name is for callers, the record for the log."""
    key = keyring.by_id.get(key_id(sealed))
    if len(sealed) < OVERHEAD or sealed[:1] != _VERSION or key is None:
        raise Undecryptable(name, record, key_id(sealed))
    try:
        return key.cipher.decrypt(sealed[1 + _ID : _DATA_FROM], sealed[_DATA_FROM:], bound_to)
    except InvalidTag:
        raise Undecryptable(name, record, key.id) from None


def key_id(sealed: bytes) -> str:
    """The id of the key that a value was encrypted with."""
    return sealed[1 : 1 + _ID].hex()
