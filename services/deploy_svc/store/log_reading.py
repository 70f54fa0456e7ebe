"""Reading container logs: by an index where there is one, else only where lines can be (log_segments.py)."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from services.deploy_svc.domain.log_line import StoredLine
from services.deploy_svc.domain.log_query import LogQuery
from services.deploy_svc.domain.log_scope import LogScope
from services.deploy_svc.domain.log_segment import LINE_BYTES, SIZE_BITS, Range, Segment, enough
from services.deploy_svc.domain.part import Part
from services.deploy_svc.store import log_segments, tables
from services.kernel.db import Tx
from services.kernel.members import made_of

_t = tables.container_logs
_s = tables.services

# A search looks at so much before it answers; a long line counts as several.
SEARCHED = 25_000
# Of one statement.
_RANGES = 400
_BIGGEST_ID = 2**63 - 1

_READ = (
    _t.c.id,
    _t.c.container_id,
    _t.c.container_name,
    _t.c.node_id,
    _t.c.node,
    _t.c.time,
    _t.c.type,
    _t.c.data,
    _t.c.service_id,
    _t.c.hook,
)


async def newest_id(tx: Tx, scope: LogScope) -> int:
    """Id of the last line that the scope could show; 0 when there is none. Looked up in an index."""
    if scope.empty:
        return 0
    service = next(iter(scope.service_ids)) if scope.service_ids and len(scope.service_ids) == 1 else None
    where = _t.c.service_id == service if service is not None else _t.c.grid_id == scope.grid_id
    query = sa.select(_t.c.id).where(where).order_by(_t.c.id.desc()).limit(1)
    return (await tx.execute(query)).scalar() or 0


async def select(tx: Tx, scope: LogScope, wanted: LogQuery) -> Part[StoredLine]:
    """Lines of the scope, oldest first: the first ones after `wanted.after`, or the last ones. What that costs does not
    grow with the lines that do not match, except of a search, which looks at `SEARCHED` lines and says so."""
    if scope.stack is not None:
        scope = await _resolved(tx, scope)
    if scope.empty:
        return Part()
    if _in_order_of_an_index(scope, wanted):
        return await _read(tx, scope, wanted)
    found: Part[StoredLine] = Part()
    searched, edge = 0, None
    async for place in _places(tx, scope, wanted):
        if wanted.search is not None and searched and searched + place.cost > SEARCHED:
            return Part(found, edge)
        part = await _read(tx, scope, replace(wanted, limit=wanted.limit - len(found)), place)
        found = Part([*part, *found] if wanted.after is None else [*found, *part], part.until)
        if part.until is not None or len(found) == wanted.limit:
            break
        searched, edge = searched + place.cost, place.edge
    return found


@dataclass(frozen=True, slots=True)
class _Place:
    """Where lines may be: in ranges, or anywhere between two ids. `edge` is the id with which it ends in the direction
    of the look; `cost` is that of a search when it is known before."""

    ranges: Sequence[Range] = ()
    between: Range | None = None
    cost: int = 0
    edge: int = 0


async def _resolved(tx: Tx, scope: LogScope) -> LogScope:
    """With the services of the stack instead of it."""
    query = sa.select(_s.c.id).where(_s.c.grid_id == scope.grid_id, _s.c.stack == scope.stack)
    return replace(scope, stack=None, service_ids=frozenset((await tx.execute(query)).scalars()))


def _in_order_of_an_index(scope: LogScope, wanted: LogQuery) -> bool:
    """Whether each line that an index says is wanted: those of a grid or of a service."""
    filters = (
        scope.node_ids,
        scope.container_names,
        scope.container_id,
        wanted.since,
        wanted.instance,
        wanted.container,
    )
    return filters == (None,) * len(filters) and (scope.service_ids is None or len(scope.service_ids) == 1)


async def _places(tx: Tx, scope: LogScope, wanted: LogQuery) -> AsyncIterator[_Place]:
    """All places, in the direction of the look. What is known of segments is read when they are reached."""
    newest_first = wanted.after is None
    # Read first: segments that are complete by now stay so.
    border = await log_segments.open_segment(tx)
    low = 0 if wanted.after is None else wanted.after + 1
    high = _BIGGEST_ID if wanted.before is None else wanted.before - 1
    begin = border << SIZE_BITS
    rest = [_Place(between=(max(low, begin), high), edge=begin)] if high >= begin else []
    if newest_first:
        for place in rest:
            yield place
    first, last = low >> SIZE_BITS, min(border - 1, high >> SIZE_BITS)
    ids = await log_segments.streams(tx, scope, wanted) if first <= last else []
    if ids:
        segments = log_segments.of_streams(tx, ids, first, last, since=wanted.since, newest_first=newest_first)
        async for some in segments:
            for chosen in _steps(some, wanted):
                yield _place(chosen, newest_first=newest_first)
    if not newest_first:
        for place in rest:
            yield place


def _steps(segments: list[Segment], wanted: LogQuery) -> list[list[Segment]]:
    """Segments that are read together."""
    found = []
    lines = wanted.limit if wanted.search is None else _BIGGEST_ID
    cost = _BIGGEST_ID if wanted.search is None else SEARCHED
    while segments:
        found.append(enough(segments, lines=lines, cost=cost, ranges=_RANGES))
        segments = segments[len(found[-1]) :]
    return found


def _place(segments: Sequence[Segment], *, newest_first: bool) -> _Place:
    ranges = [each for segment in segments for each in segment.ranges()]
    edge = segments[-1].first if newest_first else segments[-1].last
    return _Place(ranges, cost=sum(segment.search_cost for segment in segments), edge=edge)


async def _read(tx: Tx, scope: LogScope, wanted: LogQuery, place: _Place | None = None) -> Part[StoredLine]:
    """The lines of a place, or of everywhere."""
    if place is not None and place.ranges:
        found = _in_ranges(scope, wanted, place.ranges).subquery()
    else:
        found = _found(scope, wanted, place.between if place else None).subquery()
    query = (
        sa.select(*found.c, _s.c.stack, _s.c.name)
        .select_from(found.outerjoin(_s, _s.c.id == found.c.service_id))
        .order_by(found.c.id)
    )
    rows = (await tx.execute(query)).all()
    if "matches" not in found.c:
        return Part(map(_line, rows))
    lines = [_line(row) for row in rows if row.matches]
    ends = (row.id for row in rows if row.ends)
    return Part(lines, next(ends, None) if len(lines) < wanted.limit else None)


def _in_ranges(scope: LogScope, wanted: LogQuery, ranges: Sequence[Range]) -> sa.Select[Any]:
    """The lines in order. What a search costs here was counted before."""
    arrays = (sa.cast([each[end] for each in ranges], ARRAY(sa.BigInteger)) for end in (0, 1))
    columns = (sa.column("low", sa.BigInteger), sa.column("high", sa.BigInteger))
    place = sa.func.unnest(*arrays).table_valued(*columns).render_derived(name="place")
    lines = _lines(scope, wanted).where(_t.c.id.between(place.c.low, place.c.high)).limit(wanted.limit)
    if wanted.search is not None:
        lines = lines.where(_contains(_t.c.data, wanted.search))
    each = lines.lateral("each")
    return (
        sa.select(*(each.c[column.name] for column in _READ))
        .select_from(place.join(each, sa.true()))
        .order_by(_direction(each.c.id, wanted))
        .limit(wanted.limit)
    )


def _found(scope: LogScope, wanted: LogQuery, between: Range | None) -> sa.Select[Any]:
    """The lines in order. Of a search also the line that it ends with, whether or not it `matches`."""
    lines = _lines(scope, wanted)
    if between is not None:
        lines = lines.where(_t.c.id.between(*between))
    if wanted.search is None:
        return lines.limit(wanted.limit)
    cost = 1 + sa.func.octet_length(_t.c.data, type_=sa.Integer) // LINE_BYTES
    spent = sa.func.sum(cost).over(order_by=_direction(_t.c.id, wanted), rows=(None, 0)).label("spent")
    looked = lines.add_columns(spent, cost.label("cost")).limit(SEARCHED).subquery()
    matches, ends = _contains(looked.c.data, wanted.search), looked.c.spent >= SEARCHED
    return (
        sa.select(*(looked.c[column.name] for column in _READ), matches.label("matches"), ends.label("ends"))
        # Its limit is what ends the search: nothing here may hide a line from it.
        .where(looked.c.spent - looked.c.cost < SEARCHED, ends | matches)
        .order_by(_direction(looked.c.id, wanted))
        .limit(wanted.limit)
    )


def _lines(scope: LogScope, wanted: LogQuery) -> sa.Select[Any]:
    where = [*_scoped(scope), *_filters(wanted)]
    return sa.select(*_READ).where(*where).order_by(_direction(_t.c.id, wanted))


def _direction(key: sa.ColumnElement[int], wanted: LogQuery) -> sa.ColumnElement[int]:
    return key.desc() if wanted.after is None else key


def _contains(text: sa.ColumnElement[str], wanted: str) -> sa.ColumnElement[bool]:
    """Whether it has the wanted text in it, in any case."""
    if wanted.isascii():
        # Several times as fast as the rules of a language, which make no difference here.
        return sa.func.strpos(sa.func.lower(sa.collate(text, "C")), wanted.lower()) > 0
    return sa.func.strpos(sa.func.lower(text), sa.func.lower(wanted)) > 0


def _line(row: Any) -> StoredLine:
    return made_of(StoredLine, row, service=None if row.stack is None else (row.stack, row.name))


def _scoped(scope: LogScope) -> list[sa.ColumnElement[bool]]:
    where = [_t.c.grid_id == scope.grid_id]
    if scope.service_ids is not None:
        where.append(_t.c.service_id.in_(sorted(scope.service_ids)))
    if scope.node_ids is not None:
        where.append(_t.c.node_id.in_(sorted(scope.node_ids)))
    if scope.container_names is not None:
        where.append(_t.c.container_name.in_(sorted(scope.container_names)))
    if scope.container_id is not None:
        where.append(_t.c.container_id == scope.container_id)
    return where


def _filters(wanted: LogQuery) -> list[sa.ColumnElement[bool]]:
    filters: list[sa.ColumnElement[bool]] = []
    if wanted.after is not None:
        filters.append(_t.c.id > wanted.after)
    if wanted.before is not None:
        filters.append(_t.c.id < wanted.before)
    if wanted.since is not None:
        filters.append(_t.c.time > wanted.since)
    if wanted.instance is not None:
        filters.append(_t.c.instance_number == wanted.instance)
    if wanted.container is not None:
        filters.append(_t.c.container_name == wanted.container)
    return filters
