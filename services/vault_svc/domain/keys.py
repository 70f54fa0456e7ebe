"""Master keys of the vault, made from settings.

A key is given as text of at least 16 characters without a comma; white space around it does not count. Its UTF-8 bytes
go through HKDF-SHA256 (RFC 5869) with a fixed salt: once for the 32-byte key that wraps data keys, once for the 8-byte
id stored next to everything it wrapped. Base64 and hex are taken as the text they are, never decoded, so one text is
one key. HKDF does not stretch passwords: use 32 random bytes, e.g. `openssl rand -base64 32`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

SHORTEST = 16
ID_BYTES = 8
_SALT = b"kontena vault"


@dataclass(frozen=True, slots=True)
class Key:
    """One master key: the public id (16 hexadecimal characters) and the cipher that wraps data keys."""

    id: str
    cipher: AESGCM = field(repr=False)


@dataclass(frozen=True, slots=True)
class Keyring:
    """The key that encrypts, and all keys that may decrypt, the current one included."""

    current: Key
    by_id: Mapping[str, Key] = field(repr=False)


def derive(text: str, setting: str = "VAULT_KEY") -> Key:
    """The key of a text. Raises ValueError, which names the setting and never shows the text."""
    text = text.strip()
    if len(text) < SHORTEST:
        raise ValueError(f"{setting}: a key needs at least {SHORTEST} characters, better 32 random bytes in base64")
    if "," in text:
        # It could never be moved to VAULT_OLD_KEYS, so it could never be rotated.
        raise ValueError(f"{setting}: a key cannot contain a comma")
    material = text.encode()
    return Key(
        id=_expand(material, b"vault-kid-v1", ID_BYTES).hex(), cipher=AESGCM(_expand(material, b"vault-kek-v1", 32))
    )


def keyring(current: str, old: str = "") -> Keyring | None:
    """The keyring of VAULT_KEY and VAULT_OLD_KEYS (comma separated); None without a current key."""
    if not current.strip():
        return None
    key = derive(current)
    others = [derive(text, "VAULT_OLD_KEYS") for text in old.split(",") if text.strip()]
    return Keyring(key, {known.id: known for known in (*others, key)})


def _expand(material: bytes, info: bytes, length: int) -> bytes:
    return HKDF(algorithm=SHA256(), length=length, salt=_SALT, info=info).derive(material)
