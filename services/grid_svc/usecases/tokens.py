"""Join tokens."""

import base64
import secrets

_BYTES = 64


def random_token() -> str:
    """A new join token: 64 random bytes in base64."""
    return base64.b64encode(secrets.token_bytes(_BYTES)).decode()
