"""Liquid templates within limits."""

from collections.abc import Mapping
from typing import Any

from liquid import Environment, FalsyStrictUndefined
from liquid.exceptions import LiquidError

__all__ = ["LiquidError", "render"]


class _Environment(Environment):
    """Limits of a template; the time it takes is limited by whoever renders."""

    loop_iteration_limit = 10_000
    local_namespace_limit = 256 * 1024
    output_stream_limit = 1024 * 1024


_ENVIRONMENT = _Environment(undefined=FalsyStrictUndefined)


def render(text: str, values: Mapping[str, Any]) -> str:
    """The text of a template, which reads no other file. Raises LiquidError, and what filters raise."""
    return _ENVIRONMENT.from_string(text).render(**values)
