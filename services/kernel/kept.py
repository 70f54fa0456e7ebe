"""What was made of records, kept with the version of the record that it was made of.

Nothing is ever told to forget: whoever reads asks Postgres which versions are current, and only what was made of these
counts. So an answer is right on every replica, whoever wrote (docs/adr/0060-parts-of-answers-are-kept.md).
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Generic, TypeVar

import sqlalchemy as sa

R = TypeVar("R")
T = TypeVar("T")

# xmin and ctid of a row: the transaction that wrote it, and where it lies.
Version = tuple[int, tuple[int, int]]

_MOST = 20_000


def version_columns(table: sa.Table) -> tuple[sa.ColumnElement[Any], sa.ColumnElement[Any]]:
    """Columns that tell the versions of a row apart. Postgres keeps them itself, so no writer can forget to: each
    update puts a new row, of its own transaction, in a new place."""
    return (
        sa.literal_column(f"{table.fullname}.xmin").label("xmin"),
        sa.literal_column(f"{table.fullname}.ctid").label("ctid"),
    )


class Newest(Generic[T]):
    """Values by id; those put in first go when there are too many."""

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._values: dict[str, T] = {}

    def get(self, key: str) -> T | None:
        """The value, if it is still there."""
        return self._values.get(key)

    def put(self, key: str, value: T) -> None:
        """Add it or replace another."""
        # The newest are at the end, as a dict keeps the order in which keys came.
        self._values.pop(key, None)
        self._values[key] = value
        while len(self._values) > self._most:
            del self._values[next(iter(self._values))]


class Kept(Generic[R, T]):
    """What `make` made of records; those made first go when there are too many."""

    def __init__(self, make: Callable[[R], T], most: int = _MOST) -> None:
        self._make = make
        self._parts = Newest[tuple[Version, T]](most)

    async def of(
        self,
        current: Mapping[str, Version],
        load: Callable[[list[str]], Awaitable[Iterable[tuple[str, Version, R]]]],
    ) -> dict[str, T]:
        """What is made of the current version of each record, by id; `load` reads those that are not known. It may find
        a newer version, which counts, and a record that is gone by now is not in the answer."""
        found: dict[str, T] = {}
        missing: list[str] = []
        for record_id, version in current.items():
            entry = self._parts.get(record_id)
            if entry is None or entry[0] != version:
                missing.append(record_id)
            else:
                found[record_id] = entry[1]
        if missing:
            for record_id, version, record in await load(missing):
                found[record_id] = self._keep(record_id, version, self._make(record))
        return found

    def _keep(self, record_id: str, version: Version, part: T) -> T:
        self._parts.put(record_id, (version, part))
        return part
