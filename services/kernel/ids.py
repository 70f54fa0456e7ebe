"""Object ids: 24 lower-case hexadecimal characters, sorting roughly by creation time."""

import re
import secrets
import time

_PATTERN = re.compile(r"[0-9a-f]{24}")


def new_id() -> str:
    """A new unique id: 8 characters of Unix seconds, 16 random ones."""
    return f"{int(time.time()):08x}{secrets.token_hex(8)}"


def is_id(text: str) -> bool:
    """Whether `text` has the form of an id."""
    return _PATTERN.fullmatch(text) is not None
