"""Domain names that a certificate can be for."""

import re

_LABEL = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)")
_LONGEST = 253


def normalize(text: str) -> str | None:
    """The name in lower case with A-labels (RFC 5890), `*.` kept; None when it is no host name."""
    name = text.strip().lower()
    wildcard, name = ("*.", name[2:]) if name.startswith("*.") else ("", name)
    try:
        name = name.encode("idna").decode("ascii").lower()
    except UnicodeError:
        return None
    labels = name.split(".")
    if len(wildcard + name) > _LONGEST or not all(map(_LABEL.fullmatch, labels)) or labels[-1].isdigit():
        return None
    return wildcard + name


def base(domain: str) -> str:
    """The domain without a leading `*.`: the name of its DNS records."""
    return domain.removeprefix("*.")
