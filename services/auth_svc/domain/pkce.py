"""Proof Key for Code Exchange towards the provider (RFC 7636): binds the provider's code to the login it was made for.

The verifier is made of the state, so it need not be stored, and of a key, so that nobody who sees the state knows it.
"""

import base64
import hashlib

from services.auth_svc.domain.digest import digest

_PURPOSE = "pkce code verifier\0"


def verifier(key: bytes, state: str) -> str:
    """The code verifier of the login with this state: 43 characters."""
    return _text(digest(key, _PURPOSE + state))


def challenge(code_verifier: str) -> str:
    """What the provider gets first; the method is S256."""
    return _text(hashlib.sha256(code_verifier.encode()).digest())


def _text(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()
