"""Master keys of the vault, made from settings.

A key is given as text of at least 16 characters without a comma. Base64 and hex are taken as the text they are, never
decoded, so one text is one key (kernel/sealing.py).
"""

from services.kernel.sealing import Derivation, Key, Keyring

SHORTEST = 16
_DERIVATION = Derivation(b"kontena vault", b"vault-kid-v1", b"vault-kek-v1")


def derive(text: str, setting: str = "VAULT_KEY") -> Key:
    """The key of a text. Raises ValueError, which names the setting and never shows the text."""
    if len(text.strip()) < SHORTEST:
        raise ValueError(f"{setting}: a key needs at least {SHORTEST} characters, better 32 random bytes in base64")
    if "," in text:
        # It could never be moved to VAULT_OLD_KEYS, so it could never be rotated.
        raise ValueError(f"{setting}: a key cannot contain a comma")
    return _DERIVATION.derive(text)


def keyring(current: str, old: str = "") -> Keyring | None:
    """The keyring of VAULT_KEY and VAULT_OLD_KEYS (comma separated); None without a current key."""
    if not current.strip():
        return None
    return Keyring.of(derive(current), [derive(text, "VAULT_OLD_KEYS") for text in old.split(",") if text.strip()])
