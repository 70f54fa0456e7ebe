"""Parts of lists: at most so many items after a place, in an order that does not move when items come and go."""

import base64
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

import sqlalchemy as sa

from services.kernel.db import Database, Tx
from services.kernel.errors import ValidationFailed
from services.kernel.statements import Row, Statement

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
    last = zip(_values(wanted.place, keys), keys, strict=True) if wanted.place else ()
    query = _part(query, keys, [sa.literal(value, key.type) for value, key in last], newest_first=newest_first)
    if wanted.limit is not None:
        query = query.limit(wanted.limit + 1)
    return _listing(list(await tx.execute(query)), order, wanted, convert)


class PreparedPages:
    """The same of one query with named parameters, as statements that are prepared: one for each kind of page."""

    def __init__(
        self, query: sa.Select[Any], order: Mapping[str, sa.ColumnElement[Any]], *, newest_first: bool = False
    ) -> None:
        self._query, self._order, self._newest_first = query, order, newest_first
        self._keys = list(order.values())
        self._statements: dict[tuple[bool, bool], Statement] = {}

    async def read(self, db: Database, wanted: Page, convert: Callable[[Row], T], **given: Any) -> Listing[T]:
        """The wanted part. Values come as the driver has them: JSON is text. Raises ValidationFailed."""
        if wanted.place:
            given |= {f"place_{number}": value for number, value in enumerate(_values(wanted.place, self._keys))}
        if wanted.limit is not None:
            given["most"] = wanted.limit + 1
        return _listing(await db.fetch(self._statement(wanted), **given), self._order, wanted, convert)

    def _statement(self, wanted: Page) -> Statement:
        kind = bool(wanted.place), wanted.limit is not None
        if kind not in self._statements:
            placed, limited = kind
            last = [sa.bindparam(f"place_{number}", type_=key.type) for number, key in enumerate(self._keys) if placed]
            query = _part(self._query, self._keys, last, newest_first=self._newest_first)
            self._statements[kind] = Statement(
                query.limit(sa.bindparam("most", type_=sa.Integer)) if limited else query
            )
        return self._statements[kind]


def _part(
    query: sa.Select[Any],
    keys: Sequence[sa.ColumnElement[Any]],
    last: Sequence[sa.ColumnElement[Any]],
    *,
    newest_first: bool,
) -> sa.Select[Any]:
    query = query.order_by(*(key.desc() if newest_first else key for key in keys))
    if not last:
        return query
    row, place = sa.tuple_(*keys), sa.tuple_(*last)
    return query.where(row < place if newest_first else row > place)


def _listing(rows: Sequence[Any], order: Iterable[str], wanted: Page, convert: Callable[[Any], T]) -> Listing[T]:
    shown = rows if wanted.limit is None else rows[: wanted.limit]
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
