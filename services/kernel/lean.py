"""Importing without what nobody needs here."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without(package: str) -> Iterator[None]:
    """What is imported in the block finds that there is no such package. For libraries that load it if it is there and
    do without otherwise: a service has no terminal that colours would be for (docs/adr/0118-what-memory-is-for.md)."""
    if package in sys.modules:
        yield
        return
    # What Python asks first; with None it raises ModuleNotFoundError.
    sys.modules[package] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[package]
