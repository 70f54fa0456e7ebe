"""Parts of lists: at most so many items after a place, in an order that does not move when items come and go."""

import base64
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

import sqlalchemy as sa

from services.kernel.db import Tx
from services.kernel.errors import ValidationFailed

T = TypeVar("T")
U = TypeVar("U")

MOST = 10_000
_WRONG_PLACE = "From is not the `next` of an answer of this list; leave it out to begin anew"


@dataclass(frozen=True, slots=True)
class Page:
    """At most `limit` items, all without one; those after the item with the key that `place` holds, if any."""

    limit: int | None = None
    place: str = ""


WHOLE = Page()


class Listing(list[T]):
    """Items of a list, and where those after them begin: None when there are no more, or nobody limited them."""

    def __init__(self, items: Iterable[T] = (), following: str | None = None) -> None:
        super().__init__(items)
        self.next = following

    def map(self, convert: Callable[[T], U]) -> "Listing[U]":
        """The same part of the list, of other items."""
        return Listing(map(convert, self), self.next)


def page(request: Any) -> Page:
    """What a request with `limit` and `from` asks for. Raises ValidationFailed."""
    limit = request.limit if request.HasField("limit") else None
    if limit is not None and not 1 <= limit <= MOST:
        raise ValidationFailed({"limit": f"Limit must be from 1 to {MOST}; leave it out to get the whole list"})
    return Page(limit, getattr(request, "from"))


async def read(
    tx: Tx,
    query: sa.Select[Any],
    order: Mapping[str, sa.ColumnElement[Any]],
    wanted: Page,
    convert: Callable[[Any], T],
    *,
    newest_first: bool = False,
) -> Listing[T]:
    """The wanted part of what a query selects, in the order of unique keys: expressions by the name that the rows have
    for their values. It is found by key: what is added or removed meanwhile moves nothing. Raises ValidationFailed."""
    keys = list(order.values())
    query = query.order_by(*(key.desc() if newest_first else key for key in keys))
    if wanted.place:
        last = [sa.literal(value, key.type) for value, key in zip(_values(wanted.place, keys), keys, strict=True)]
        row, place = sa.tuple_(*keys), sa.tuple_(*last)
        query = query.where(row < place if newest_first else row > place)
    if wanted.limit is None:
        return Listing(convert(row) for row in await tx.execute(query))
    rows = list(await tx.execute(query.limit(wanted.limit + 1)))
    shown = rows[: wanted.limit]
    more = len(rows) > len(shown)
    return Listing(map(convert, shown), _place([getattr(shown[-1], name) for name in order]) if more else None)


def _place(values: list[Any]) -> str:
    text = json.dumps([value.isoformat() if isinstance(value, datetime) else value for value in values])
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _values(place: str, keys: list[sa.ColumnElement[Any]]) -> list[Any]:
    """The values of the keys. Raises ValidationFailed."""
    try:
        given = json.loads(base64.urlsafe_b64decode(place + "=" * (-len(place) % 4)))
        json.dumps(given, ensure_ascii=False).encode()  # Half a character is no text.
        return [_value(value, key.type) for value, key in zip(given, keys, strict=True)]
    except (ValueError, TypeError):
        raise ValidationFailed({"from": _WRONG_PLACE}) from None


def _value(given: Any, column: sa.types.TypeEngine[Any]) -> Any:
    kind = column.python_type
    if kind is datetime:
        found = datetime.fromisoformat(given)
        if found.tzinfo is None:
            raise ValueError(given)
        return found
    most = 2**63 if isinstance(column, sa.BigInteger) else 2**31
    if type(given) is not kind or (kind is int and abs(given) >= most):
        raise ValueError(given)
    return given
