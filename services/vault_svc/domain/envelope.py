"""Authenticated encryption of one stored value: AES-256-GCM under a data key that a master key wraps.

    version(1) = 01 | key id(8) | nonce(12) | wrapped data key(48) | nonce(12) | ciphertext(n + 16)

Both layers authenticate where the value belongs, so a ciphertext that is moved to another grid, name, record or field
does not decrypt. Every write makes a new data key and new nonces, so equal values look different.
"""

import os
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from services.vault_svc.domain.keys import ID_BYTES, Keyring
from services.vault_svc.domain.plaintext import Plaintext

OVERHEAD = 97
_VERSION = b"\x01"
_NONCE = 12
_KEY = 32
_TAG = 16
_WRAPPED_FROM = 1 + ID_BYTES + _NONCE
_DATA_FROM = _WRAPPED_FROM + _KEY + _TAG


class Undecryptable(Exception):
    """A stored value does not open: wrong or missing key, damaged or moved. Names the record, never the content."""

    def __init__(self, binding: "Binding", key_id: str) -> None:
        super().__init__(f"{binding.kind} {binding.record_id} does not decrypt with key {key_id}")


@dataclass(frozen=True, slots=True)
class Binding:
    """Where a value belongs. `grid_id` and `record_id` are never reused, unlike names."""

    kind: str
    grid_id: str
    name: str
    record_id: str
    field: str

    def associated_data(self, layer: str) -> bytes:
        """Length prefixes keep `ab` + `c` and `a` + `bc` apart."""
        parts = (layer, self.kind, self.grid_id, self.name, self.record_id, self.field)
        encoded = [part.encode() for part in parts]
        return b"".join(len(part).to_bytes(4, "big") + part for part in encoded)


@dataclass(frozen=True, slots=True)
class Sealed:
    """An encrypted value and the id of the master key that opens it."""

    key_id: str
    blob: bytes = field(repr=False)


def seal(keyring: Keyring, binding: Binding, value: Plaintext) -> Sealed:
    """Encrypt with the current key."""
    # The one place where chance is not a parameter: a repeated nonce would break the encryption, so none can be passed.
    data_key, wrap_nonce, data_nonce = os.urandom(_KEY), os.urandom(_NONCE), os.urandom(_NONCE)
    wrapped = keyring.current.cipher.encrypt(wrap_nonce, data_key, binding.associated_data("key"))
    ciphertext = AESGCM(data_key).encrypt(data_nonce, value.data, binding.associated_data("data"))
    key_id = keyring.current.id
    return Sealed(key_id, _VERSION + bytes.fromhex(key_id) + wrap_nonce + wrapped + data_nonce + ciphertext)


def unseal(keyring: Keyring, binding: Binding, sealed: Sealed) -> Plaintext:
    """Decrypt with whichever key sealed it. Raises Undecryptable."""
    blob = sealed.blob
    # The id inside the blob decides; the column next to it only finds rows.
    key_id = blob[1 : 1 + ID_BYTES].hex()
    key = keyring.by_id.get(key_id)
    if len(blob) < OVERHEAD or blob[:1] != _VERSION or key is None:
        raise Undecryptable(binding, key_id)
    wrap_nonce, wrapped = blob[1 + ID_BYTES : _WRAPPED_FROM], blob[_WRAPPED_FROM:_DATA_FROM]
    data_nonce, ciphertext = blob[_DATA_FROM : _DATA_FROM + _NONCE], blob[_DATA_FROM + _NONCE :]
    try:
        data_key = key.cipher.decrypt(wrap_nonce, wrapped, binding.associated_data("key"))
        return Plaintext(AESGCM(data_key).decrypt(data_nonce, ciphertext, binding.associated_data("data")))
    except InvalidTag:
        raise Undecryptable(binding, key_id) from None


def reseal(keyring: Keyring, binding: Binding, sealed: Sealed) -> Sealed:
    """The same value under a new data key and the current master key. Raises Undecryptable."""
    return seal(keyring, binding, unseal(keyring, binding, sealed))
