"""Encryption of secret configuration values: AES-256-GCM, bound to the key they are stored under.

    version(1) = 01 | key id(8) | nonce(12) | ciphertext(n + 16)

The encryption key is derived (RFC 5869) from VAULT_KEY, or from CLUSTER_SECRET when there is none. Values that were
encrypted with any of VAULT_KEY, VAULT_OLD_KEYS and CLUSTER_SECRET open, so setting or changing VAULT_KEY loses none.
"""

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from services.auth_svc.domain.configuration import Json
from services.kernel.errors import Unavailable

_VERSION = b"\x01"
_ID = 8
_NONCE = 12
_SALT = b"kontena auth configuration"


@dataclass(frozen=True, slots=True)
class Keyring:
    """The key that encrypts and all that may decrypt, the current one included."""

    current: bytes = field(repr=False)
    ciphers: Mapping[bytes, AESGCM] = field(repr=False)


def keyring(current: str, others: Iterable[str]) -> Keyring:
    """The keyring of secret texts."""
    ciphers = {_expand(text, b"id", _ID): AESGCM(_expand(text, b"key", 32)) for text in (*others, current)}
    return Keyring(_expand(current, b"id", _ID), ciphers)


def seal(ring: Keyring, key: str, value: Json) -> bytes:
    """Encrypt a value with the current key."""
    nonce = os.urandom(_NONCE)
    ciphertext = ring.ciphers[ring.current].encrypt(nonce, json.dumps(value).encode(), _bound_to(key))
    return _VERSION + ring.current + nonce + ciphertext


def unseal(ring: Keyring, key: str, sealed: bytes) -> Json:
    """Decrypt a value. Raises Unavailable, which names the configuration key only."""
    cipher = ring.ciphers.get(sealed[1 : 1 + _ID])
    start = 1 + _ID + _NONCE
    try:
        if cipher is None or sealed[:1] != _VERSION:
            raise InvalidTag
        return json.loads(cipher.decrypt(sealed[1 + _ID : start], sealed[start:], _bound_to(key)))
    except InvalidTag:
        text = f"The value of {key} cannot be decrypted: set it again, or name its key in VAULT_OLD_KEYS"
        raise Unavailable(text) from None


def is_current(ring: Keyring, sealed: bytes) -> bool:
    """Whether the current key encrypted it."""
    return sealed[1 : 1 + _ID] == ring.current


def _bound_to(key: str) -> bytes:
    return b"auth.config\0" + key.encode()


def _expand(text: str, purpose: bytes, length: int) -> bytes:
    return HKDF(algorithm=SHA256(), length=length, salt=_SALT, info=purpose).derive(text.strip().encode())
