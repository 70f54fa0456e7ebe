"""Encryption of one stored value under a data key of its own, which a master key wraps.

    data key, wrapped as in kernel/sealing.py(69) | nonce(12) | ciphertext(n + 16)

Both layers authenticate where the value belongs, so a ciphertext that is moved to another grid, name, record or field
does not decrypt. Every write makes a new data key and new nonces, so equal values look different.
"""

import os
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from services.kernel import sealing
from services.kernel.sealing import Keyring, Undecryptable
from services.vault_svc.domain.plaintext import Plaintext

_NONCE = 12
_KEY = 32
_TAG = 16
_NONCE_FROM = sealing.OVERHEAD + _KEY
_DATA_FROM = _NONCE_FROM + _NONCE
OVERHEAD = _DATA_FROM + _TAG


@dataclass(frozen=True, slots=True)
class Binding:
    """Where a value belongs. `grid_id` and `record_id` are never reused, unlike names."""

    kind: str
    grid_id: str
    name: str
    record_id: str
    field: str

    @property
    def record(self) -> str:
        """What logs call it."""
        return f"{self.kind} {self.record_id}"

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
    data_key, nonce = os.urandom(_KEY), os.urandom(_NONCE)
    wrapped = sealing.seal(keyring, binding.associated_data("key"), data_key)
    ciphertext = AESGCM(data_key).encrypt(nonce, value.data, binding.associated_data("data"))
    return Sealed(keyring.current.id, wrapped + nonce + ciphertext)


def unseal(keyring: Keyring, binding: Binding, sealed: Sealed) -> Plaintext:
    """Decrypt with whichever key sealed it. Raises Undecryptable."""
    # The id inside the blob decides; the column next to it only finds rows.
    wrapped, nonce, ciphertext = _parts(sealed.blob)
    data_key = sealing.unseal(keyring, binding.associated_data("key"), wrapped, binding.name, binding.record)
    try:
        return Plaintext(AESGCM(data_key).decrypt(nonce, ciphertext, binding.associated_data("data")))
    except (InvalidTag, ValueError):
        raise Undecryptable(binding.name, binding.record, sealing.key_id(wrapped)) from None


def reseal(keyring: Keyring, binding: Binding, sealed: Sealed) -> Sealed:
    """The same value under a new data key and the current master key. Raises Undecryptable."""
    return seal(keyring, binding, unseal(keyring, binding, sealed))


def _parts(blob: bytes) -> tuple[bytes, bytes, bytes]:
    return blob[:_NONCE_FROM], blob[_NONCE_FROM:_DATA_FROM], blob[_DATA_FROM:]
