"""The one spelling of Envoy's typed extension configurations."""

from typing import Any

Config = dict[str, Any]

_PREFIX = "type.googleapis.com/envoy."


def typed(message: str, **fields: Any) -> Config:
    """A typed configuration; `message` is the type without the leading `envoy.`."""
    return {"@type": _PREFIX + message, **fields}


def extension(name: str, message: str, **fields: Any) -> Config:
    """A named extension with its typed configuration."""
    return {"name": name, "typed_config": typed(message, **fields)}


def header(key: str, value: str) -> Config:
    """A header that replaces whatever was there."""
    return {"header": {"key": key, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}


def header_if_absent(key: str, value: str) -> Config:
    """A header for responses that have none of that name."""
    return {"header": {"key": key, "value": value}, "append_action": "ADD_IF_ABSENT"}


def seconds(value: float) -> str:
    """A protobuf duration."""
    return f"{value:g}s"
