"""Join tokens: what one may look like, and a new one."""

import base64
import hashlib
import secrets
from dataclasses import dataclass, field

from services.kernel.validation import Checker

SHORTEST = 16
_LONGEST = 256
_BYTES = 64
# The same words whether a grid, a node or nobody here has it: who guesses tokens must not be told of a hit.
NOT_USABLE = "Token cannot be used. Choose another one, or leave it out for a random one."


@dataclass(frozen=True, slots=True)
class StoredToken:
    """A token as the database has it: found by its digest, and shown from `sealed`; `clear` instead while there are
    replicas of a release that cannot open it (usecases/join_tokens.py)."""

    digest: bytes
    sealed: bytes | None = field(default=None, repr=False)
    clear: str = field(default="", repr=False)


def digest(token: str) -> bytes:
    """What a join token is looked up by."""
    return hashlib.sha256(token.encode()).digest()


def random_token() -> str:
    """A new join token: 64 random bytes in base64."""
    return base64.b64encode(secrets.token_bytes(_BYTES)).decode()


def check_token(given: str | None) -> str | None:
    """The token, or None when none was given. Raises ValidationFailed."""
    checker = Checker()
    token = given_token(checker, given)
    checker.done()
    return token


def given_token(checker: Checker, given: str | None) -> str | None:
    """The cleaned token, or None when it is absent or wrong."""
    token = checker.text("token", given)
    if token is not None and len(token) < SHORTEST:
        checker.fail("token", f"is too short (minimum is {SHORTEST} characters)")
    if token is not None and len(token) > _LONGEST:
        checker.fail("token", f"is too long (maximum is {_LONGEST} characters)")
    return token
