"""Keyed digests of tokens and codes.

A digest is deterministic, so a token is found by equality on an indexed column: no comparison depends on how much of a
guess was right, and without the key the stored digests cannot be searched for a value, however short.
"""

import hashlib
import hmac

from services.auth_svc.domain.access_token import Digests, Values


def digest(key: bytes, value: str) -> bytes:
    """HMAC-SHA256 of the value. Takes any text, even one that is not valid Unicode."""
    return hmac.digest(key, value.encode("utf-8", "surrogatepass"), hashlib.sha256)


def digests(key: bytes, values: Values) -> Digests:
    """The digests of those values that exist."""
    return Digests(
        access=None if values.access is None else digest(key, values.access),
        refresh=None if values.refresh is None else digest(key, values.refresh),
        code=None if values.code is None else digest(key, values.code),
    )
