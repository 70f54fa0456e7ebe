"""Importing without what nobody needs here."""

import importlib.util
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


@contextmanager
def bare(package: str) -> Iterator[None]:
    """In the block, modules of the package are imported without what the package itself loads. Whoever imports the
    package afterwards gets all of it, with the same modules."""
    spec = importlib.util.find_spec(package)
    if spec is None or package in sys.modules:
        yield
        return
    sys.modules[package] = importlib.util.module_from_spec(spec)
    try:
        yield
    finally:
        del sys.modules[package]
