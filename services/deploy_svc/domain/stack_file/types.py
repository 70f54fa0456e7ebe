"""Types of variables: what a value becomes, and what is wrong with it."""

import base64
import binascii
import hashlib
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from services.deploy_svc.domain.findings import Place
from services.deploy_svc.domain.readers import scalar_text

Definition = Mapping[str, Any]

_TRUE = ("true", "yes", "1", "on", "enabled", "enable")
_DIGESTS: Mapping[str, Callable[[bytes], Any]] = {
    "md5": lambda data: hashlib.md5(data, usedforsecurity=False),
    "sha1": lambda data: hashlib.sha1(data, usedforsecurity=False),
    "sha256": hashlib.sha256,
    "sha384": hashlib.sha384,
    "sha512": hashlib.sha512,
}
_LONGEST = 64 * 1024


def typed(value: Any, definition: Definition, place: Place) -> Any:
    """The value in the type of the variable; None without one, or with an error at `place`, which shows no value."""
    kind = definition.get("type", "string")
    read = _TYPES.get(kind) if isinstance(kind, str) else None
    if read is None:
        place.at("type").error(f"{str(kind)[:40]} is no type: {', '.join(_TYPES)}.")
        return None
    found = read(value, definition, place)
    allowed = definition.get("in")
    if found is not None and isinstance(allowed, list) and found not in allowed:
        place.error(f"The value is not one of {', '.join(map(str, allowed))[:300]}.")
    return found


def text_of(value: Any) -> str:
    """A value within a text."""
    if isinstance(value, list):
        return ",".join(map(text_of, value))
    return scalar_text(value) or ""


def _string(value: Any, definition: Definition, place: Place) -> str | None:
    if value is None:
        return None
    text = text_of(value)
    if len(text) > _LONGEST:
        place.error(f"The value is longer than {_LONGEST} characters.")
        return None
    for name, change in _CHANGES.items():
        if definition.get(name):
            text = change(text)
    if not text.strip() and definition.get("empty_is_nil", True):
        return None
    if (shortest := _whole(definition.get("min_length"))) is not None and len(text) < shortest:
        place.error(f"The value is shorter than {shortest} characters.")
    if (longest := _whole(definition.get("max_length"))) is not None and len(text) > longest:
        place.error(f"The value is longer than {longest} characters.")
    return _encoded(text, definition, place)


def _encoded(text: str, definition: Definition, place: Place) -> str:
    if definition.get("encode_64"):
        text = base64.b64encode(text.encode()).decode()
    if definition.get("decode_64"):
        try:
            text = base64.b64decode(text, validate=True).decode()
        except (binascii.Error, ValueError):
            place.error("The value is not text in base64.")
    if (name := definition.get("hexdigest")) is not None:
        digest = _DIGESTS.get(name) if isinstance(name, str) else None
        if digest is None:
            place.at("hexdigest").error(f"This takes one of {', '.join(_DIGESTS)}.")
        else:
            text = str(digest(text.encode()).hexdigest())
    return text


def _integer(value: Any, definition: Definition, place: Place) -> int | None:
    if value is None or value == "":
        return 0 if definition.get("nil_is_zero") else None
    found = _whole(value)
    if found is None:
        place.error("The value is no whole number.")
        return None
    smallest, biggest = _whole(definition.get("min", 0)), _whole(definition.get("max"))
    if smallest is not None and found < smallest:
        place.error(f"The value is below {smallest}.")
    if biggest is not None and found > biggest:
        place.error(f"The value is above {biggest}.")
    return found


def _boolean(value: Any, definition: Definition, _: Place) -> Any:
    given = definition.get("nil_is", False) if value is None else value
    truthy = definition.get("truthy")
    words = [text_of(item).lower() for item in truthy] if isinstance(truthy, list) else _TRUE
    found = given is True or text_of(given).strip().lower() in words
    if definition.get("as") == "integer":
        return int(found)
    written = definition.get("true" if found else "false")
    return found if written is None else written


def _enum(value: Any, definition: Definition, place: Place) -> Any:
    given = definition.get("options")
    options = [item.get("value") if isinstance(item, Mapping) else item for item in given or ()]
    if value is None:
        return None
    for option in options:
        if text_of(option) == text_of(value):
            return text_of(option)
    if not definition.get("can_be_other"):
        place.error(f"The value is none of the options {', '.join(map(text_of, options))[:300]}.")
    return text_of(value)


def _uri(value: Any, definition: Definition, place: Place) -> str | None:
    if value is None or value == "":
        return None
    text, schemes = text_of(value), definition.get("schemes", ["http", "https"])
    try:
        scheme = urlsplit(text).scheme
    except ValueError:
        scheme = ""
    if not scheme or (isinstance(schemes, list) and schemes and scheme not in schemes):
        place.error(f"The value is no address of {', '.join(map(str, schemes or ['any scheme']))[:200]}.")
    return text


def _array(value: Any, definition: Definition, _: Place) -> Any:
    if value is None:
        return None
    separator = text_of(definition.get("split", ",")) or ","
    items = value if isinstance(value, list) else [part for part in text_of(value).split(separator) if part]
    items = [text_of(item) for item in items if item is not None or not definition.get("compact")]
    if definition.get("uniq"):
        items = list(dict.fromkeys(items))
    if definition.get("sort"):
        items = sorted(items)
    if definition.get("count"):
        return len(items)
    if not items and definition.get("empty_is_nil"):
        return None
    join = definition.get("join")
    return text_of(join).join(items) if join else items


def _whole(value: Any) -> int | None:
    text = text_of(value).strip()
    return int(text) if text.removeprefix("-").isdecimal() and text.isascii() and len(text) <= 18 else None


_CHANGES: Mapping[str, Callable[[str], str]] = {
    "strip": str.strip,
    "chomp": lambda text: text.removesuffix("\n").removesuffix("\r"),
    "upcase": str.upper,
    "downcase": str.lower,
    "capitalize": str.capitalize,
}
_TYPES: Mapping[str, Callable[[Any, Definition, Place], Any]] = {
    "string": _string,
    "integer": _integer,
    "boolean": _boolean,
    "enum": _enum,
    "uri": _uri,
    "array": _array,
}
