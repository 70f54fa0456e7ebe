"""Two compose files, or a service and the one it extends, become one: mappings grow together, lists are appended, what
says the same thing twice is there once, and commands are replaced."""

from collections.abc import Callable, Mapping
from typing import Any

from services.deploy_svc.domain.yaml_text import Tagged

RESET, OVERRIDE = "!reset", "!override"
TAGS = frozenset({RESET, OVERRIDE})

_REPLACED = frozenset({"command", "entrypoint", "test"})
# Lists of NAME=value that may be written as mappings, with what separates the two.
_PAIRS = {
    "environment": "=",
    "labels": "=",
    "annotations": "=",
    "sysctls": "=",
    "args": "=",
    "extra_hosts": "",
}


def merge(base: Any, over: Any, key: str = "") -> Any:
    """`over` goes over `base`; `key` is the name of both."""
    if isinstance(over, Tagged):
        return None if over.tag == RESET else cleaned(over.value)
    if key in _REPLACED:
        return cleaned(over)
    base, over = as_mapping(base, key), as_mapping(over, key)
    if isinstance(base, Mapping) and isinstance(over, Mapping):
        merged = dict(base)
        for name, value in over.items():
            if isinstance(value, Tagged) and value.tag == RESET:
                merged.pop(name, None)
            else:
                merged[name] = merge(base[name], value, name) if name in base else cleaned(value)
        return merged
    if isinstance(base, list) and isinstance(over, list):
        return _together(base, cleaned(over), _IDENTITIES.get(key, repr))
    return base if over is None else cleaned(over)


def cleaned(value: Any) -> Any:
    """Without tags, where there is nothing to put it over."""
    if isinstance(value, Tagged):
        return None if value.tag == RESET else cleaned(value.value)
    if isinstance(value, Mapping):
        kept = {key: item for key, item in value.items() if not (isinstance(item, Tagged) and item.tag == RESET)}
        return {key: cleaned(item) for key, item in kept.items()}
    return [cleaned(item) for item in value] if isinstance(value, list) else value


def as_mapping(value: Any, key: str) -> Any:
    """What may be written as a list or as a mapping, as a mapping."""
    if not isinstance(value, list):
        return value
    if key == "depends_on" and all(isinstance(item, str) for item in value):
        return {item: {"condition": "service_started"} for item in value}
    if key == "networks" and all(isinstance(item, str) for item in value):
        return dict.fromkeys(value)
    if key in _PAIRS and all(isinstance(item, str) for item in value):
        return dict(_pair(item, _PAIRS[key]) for item in value)
    return value


def _pair(item: str, separator: str) -> tuple[str, str | None]:
    if not separator:
        # Hosts: addresses of IPv6 have colons.
        separator = "=" if "=" in item else ":"
    name, found, value = item.partition(separator)
    return name, value if found else None


def _together(base: list[Any], over: list[Any], identity: Callable[[Any], Any]) -> list[Any]:
    found = {identity(item): item for item in base}
    for item in over:
        found[identity(item)] = item
    return list(found.values())


def _target(item: Any) -> Any:
    """Of a mount, where it is in the container."""
    if isinstance(item, Mapping):
        return str(item.get("target"))
    parts = str(item).split(":")
    return parts[1] if len(parts) > 1 else parts[0]


def _source(item: Any) -> Any:
    return str(item.get("target") or item.get("source")) if isinstance(item, Mapping) else str(item)


_IDENTITIES: Mapping[str, Callable[[Any], Any]] = {"volumes": _target, "secrets": _source, "configs": _source}
