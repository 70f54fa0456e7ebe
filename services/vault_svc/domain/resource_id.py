"""Ids as callers write them: `grid/name`."""

from urllib.parse import unquote


def split(resource_id: str) -> tuple[str, str]:
    """Grid and name. The gateway leaves reserved characters of such a path as they came: `%2A.example.com` is the
    wildcard, `r.io%3A5000` the registry with the port."""
    grid, _, name = resource_id.partition("/")
    return grid, unquote(name)
