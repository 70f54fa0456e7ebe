"""How much of what an agent says is kept. The rest is cut off: an odd machine must not be without a node."""

import ipaddress
from collections.abc import Iterable
from itertools import islice

from services.kernel.validation import clean

# Characters of a text, and of a version or other short word.
TEXT = 255
VERSION = 64
# Elements of a list: labels, plugins, filesystems, interfaces.
ELEMENTS = 64
PERIODS = 8


def text(value: str, longest: int = TEXT) -> str:
    """The cleaned text."""
    return clean(value[:longest])


def labels(values: Iterable[str]) -> tuple[str, ...]:
    """The cleaned labels without empty ones."""
    return tuple(filter(None, map(text, islice(values, ELEMENTS))))


def address(value: str) -> str | None:
    """The IP address as it is written everywhere; None for anything that is none."""
    try:
        return str(ipaddress.ip_address(text(value)))
    except ValueError:
        return None
