"""Encryption of secret configuration values (kernel/sealing.py), bound to the key they are stored under.

The encryption key is derived from VAULT_KEY, or from CLUSTER_SECRET when there is none. Values that were encrypted with
any of VAULT_KEY, VAULT_OLD_KEYS and CLUSTER_SECRET open, so setting or changing VAULT_KEY loses none.
"""

import json

from services.auth_svc.domain.configuration import Json
from services.kernel import sealing
from services.kernel.sealing import Derivation, Keyring

DERIVATION = Derivation(b"kontena auth configuration", b"id", b"key")


def seal(ring: Keyring, key: str, value: Json) -> bytes:
    """Encrypt a value with the current key."""
    return sealing.seal(ring, _bound_to(key), json.dumps(value).encode())


def unseal(ring: Keyring, key: str, sealed: bytes) -> Json:
    """Decrypt a value. Raises Undecryptable, which names the configuration key only."""
    return json.loads(sealing.unseal(ring, _bound_to(key), sealed, key, f"configuration {key}"))


def is_current(ring: Keyring, sealed: bytes) -> bool:
    """Whether the current key encrypted it."""
    return sealing.key_id(sealed) == ring.current.id


def _bound_to(key: str) -> bytes:
    return b"auth.config\0" + key.encode()
