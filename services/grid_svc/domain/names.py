"""Names that the master makes up."""

import random
import re
from collections.abc import Collection

_ADJECTIVES = (
    "amber ancient autumn bold brave bright calm clever cool crimson curly daring dawn deep eager early fancy fast "
    "gentle golden green happy hidden icy jolly keen late little lively lucky mellow misty noble old patient proud "
    "quick quiet rapid red rough shy silent silver snowy solid sparkling still sunny swift tiny tidy warm wild winter"
)
_NOUNS = (
    "bay bird breeze brook bush butterfly canyon cherry cloud coast comet creek dawn desert dew dream dune dust field "
    "fire firefly flower fog forest frost garden glade glow grass harbor haze hill island lake leaf meadow moon "
    "mountain night ocean paper pebble pine pond rain resonance river sea shadow shore sky smoke snow sound star "
    "stone storm sun sunset surf thunder tree valley violet voice water wave wildflower wind wood"
)
_ODD = re.compile(r"[^A-Za-z0-9_.-]+", re.ASCII)
_LONGEST = 200
_PLAIN_TRIES = 5


def random_name(chance: random.Random, attempt: int) -> str:
    """An `adjective-noun` name; after a few taken ones, with a number."""
    name = f"{chance.choice(_ADJECTIVES.split())}-{chance.choice(_NOUNS.split())}"
    return name if attempt < _PLAIN_TRIES else f"{name}-{chance.randrange(10, 10_000)}"


def node_name(announced: str) -> str:
    """The announced name in a form that can stand in a URL path and is no engine id; empty when nothing is left."""
    return _ODD.sub("-", announced.strip()).strip("-")[:_LONGEST]


def unique_name(announced: str, number: int, taken: Collection[str]) -> str:
    """The announced name, or with the node's number behind it, or with one more number."""
    if announced not in taken:
        return announced
    numbered = f"{announced}-{number}"
    candidates = (numbered, *(f"{numbered}-{more}" for more in range(2, len(taken) + 3)))
    return next(name for name in candidates if name not in taken)
