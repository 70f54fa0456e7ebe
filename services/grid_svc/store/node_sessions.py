"""Sessions of nodes in Postgres.

Every write names the session it speaks for, so that a late one of an older session changes nothing.
"""

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import insert as pg_insert

from services.grid_svc.domain.join_token import digest
from services.grid_svc.domain.node import Facts, Node
from services.grid_svc.domain.session import (
    BROKEN,
    GOODBYE,
    UNHEARD,
    Close,
    Hello,
    JoinTokens,
    NodeInfo,
    standing,
)
from services.grid_svc.store import join_tokens, rows
from services.grid_svc.store.channels import telling
from services.grid_svc.store.nodes import UNIQUE_ENGINE_ID
from services.grid_svc.store.tables import grids, nodes
from services.kernel.db import AnyTx, Database, Tx, run, run_last, unless_taken
from services.kernel.kept import Version, version_columns
from services.kernel.principal import NodeSession
from services.kernel.statements import Statement

# Enough to know all agents that share an id, however they take turns.
_MOST_STARTS = 8
# Made once: an alias costs more than the rest of its statement.
_OTHER = nodes.alias("other")


@dataclass(frozen=True, slots=True)
class Opened:
    """A session that has begun, and the name of its node."""

    session: NodeSession
    name: str


@dataclass(frozen=True, slots=True)
class Sighting:
    """A session whose agent was heard `age` seconds ago."""

    session: NodeSession
    age: float


async def find_by_key(tx: Tx, hello: Hello) -> Node | None:
    """The node that the key in `hello` proves this machine to be, locked; of several, in different grids, the one that
    it was last."""
    query = sa.select(*rows.COLUMNS).where(nodes.c.engine_id == hello.engine_id, nodes.c.node_key == hello.node_key)
    newest = query.order_by(nodes.c.connected_at.desc().nulls_last()).limit(1).with_for_update(of=nodes)
    row = (await tx.execute(newest)).first()
    return None if row is None else rows.row_to_node(row)


async def find_by_token(tx: Tx, token: str) -> Node | None:
    """The node whose own token is `token`, locked: found by digest, then compared in constant time."""
    query = sa.select(*rows.COLUMNS).where(nodes.c.token_digest == digest(token)).with_for_update(of=nodes)
    row = (await tx.execute(query)).first()
    return rows.row_to_node(row) if row is not None and hmac.compare_digest(row.token_digest, digest(token)) else None


async def bind(tx: Tx, node: Node, hello: Hello) -> bool:
    """The first join of a locked node that was created ahead of its machine: labels of the machine are added. False
    when the machine is another node of the grid."""
    labels = list(dict.fromkeys((*node.labels, *hello.labels)))
    statement = nodes.update().where(nodes.c.id == node.id).values(engine_id=hello.engine_id, labels=labels)
    return await unless_taken(tx, statement, UNIQUE_ENGINE_ID) is not None


async def reject(tx: Tx, shown: JoinTokens, hello: Hello, close: Close) -> None:
    """Remember why a machine with a good token got no session, unless it has one."""
    values = {"rejected_at": sa.func.now(), "close_code": close.code, "close_reason": close.reason}
    await tx.execute(nodes.update().where(_shown_by(shown, hello), ~nodes.c.connected).values(values))


async def note_conflict(tx: Tx, shown: JoinTokens, hello: Hello, reason: str) -> None:
    """Remember that another agent with the id of this node tried to connect."""
    values = {"conflict_at": sa.func.now(), "conflict_reason": reason}
    mine = sa.or_(_shown_by(shown, hello), nodes.c.node_key == hello.node_key)
    await tx.execute(nodes.update().where(nodes.c.engine_id == hello.engine_id, mine).values(values))


def _shown_by(shown: JoinTokens, hello: Hello) -> sa.ColumnElement[bool]:
    """The node that a machine may mean which shows these tokens."""
    if not shown.grid:
        return nodes.c.token_digest == digest(shown.node)
    grid = sa.select(grids.c.id).where(grids.c.token_digest == digest(shown.grid)).scalar_subquery()
    return sa.and_(nodes.c.engine_id == hello.engine_id, nodes.c.grid_id == grid)


def _given(name: str) -> sa.BindParameter[Any]:
    """A parameter for a value of a column. It may not be called like the column, which a statement writes."""
    return sa.bindparam(f"given_{name}", type_=nodes.c[name].type)


def _giving(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values for `_given`."""
    return {f"given_{name}": value for name, value in values.items()}


_START = sa.cast(sa.bindparam("given_start", type_=sa.Text), sa.Text)


async def reopen(tx: AnyTx, shown: JoinTokens, hello: Hello, clock_skew: float | None) -> Opened | None:
    """Begin the next session of a machine that is a node and proves it, with one statement, the last of a transaction.

    None when anything is to be looked at more closely.
    """
    statement = _reopening(bool(shown.grid), keyed=bool(hello.node_key), started=bool(hello.start_id))
    given = _hello(hello, clock_skew) | _giving({"token_digest": digest(shown.grid or shown.node)})
    return _opened(await run_last(tx, statement, **given))


@cache
def _reopening(by_grid: bool, *, keyed: bool, started: bool) -> Statement:
    if by_grid:
        good = sa.and_(nodes.c.id == _known(keyed=keyed), nodes.c.token_digest.is_(None))
    else:
        good = nodes.c.token_digest == _given("token_digest")
    key = nodes.c.node_key == _given("node_key") if keyed else nodes.c.node_key.is_(None)
    former = sa.cast(nodes.c.agent_starts[2:_MOST_STARTS], ARRAY(sa.Text))
    good = sa.and_(good, ~sa.and_(nodes.c.connected, sa.any_(former) == _START))
    return _opening(sa.and_(nodes.c.engine_id == _given("engine_id"), key, good), started=started)


def _known(*, keyed: bool) -> sa.ScalarSelect[str]:
    """The node of a machine in the grid that has this token, or the one it was last when no grid has it and the machine
    has a key."""
    grid = sa.select(grids.c.id).where(grids.c.token_digest == _given("token_digest")).scalar_subquery()
    here = _OTHER.c.engine_id == _given("engine_id")
    if not keyed:
        return sa.select(_OTHER.c.id).where(here, _OTHER.c.grid_id == grid).scalar_subquery()
    query = sa.select(_OTHER.c.id).where(
        here, _OTHER.c.node_key == _given("node_key"), _OTHER.c.grid_id == sa.func.coalesce(grid, _OTHER.c.grid_id)
    )
    return query.order_by(_OTHER.c.connected_at.desc().nulls_last()).limit(1).scalar_subquery()


async def open_session(tx: AnyTx, node_id: str, hello: Hello, clock_skew: float | None) -> Opened:
    """Begin the next session of a locked node; older ones are void when the transaction commits."""
    statement = _opening_locked(started=bool(hello.start_id))
    opened = _opened(await run(tx, statement, **_hello(hello, clock_skew), **_giving({"id": node_id})))
    assert opened is not None  # noqa: S101 -- it is locked.
    return opened


@cache
def _opening_locked(*, started: bool) -> Statement:
    return _opening(nodes.c.id == _given("id"), started=started)


async def register(tx: AnyTx, node: Node, hello: Hello, clock_skew: float | None) -> Opened | None:
    """Add a node without a token, with its first session; None when the machine is a node of the grid by now."""
    values = {name: getattr(node, name) for name in _REGISTERED}
    starts = [hello.start_id] if hello.start_id else []
    given = _giving(values | {"labels": list(node.labels), "agent_starts": starts})
    return _opened(await run(tx, _registering(), **_hello(hello, clock_skew), **given))


_REGISTERED = ("id", "grid_id", "name", "node_number")


@cache
def _registering() -> Statement:
    first = {name: _given(name) for name in (*_REGISTERED, "engine_id", "labels", "agent_starts", "node_key")}
    values = {**_session_values(), **join_tokens.values(None), **first, "session": 1}
    statement = pg_insert(nodes).values(values).on_conflict_do_nothing(constraint=UNIQUE_ENGINE_ID)
    return Statement(telling(statement.returning(*_OPENED)))


_OPENED = (nodes.c.grid_id, nodes.c.id, nodes.c.session, nodes.c.name)


def _opening(condition: sa.ColumnElement[bool], *, started: bool) -> Statement:
    values = {**_session_values(), "session": nodes.c.session + 1}
    # Agents of older releases do not say which of their starts has the node now.
    if started:
        others = sa.func.array_remove(nodes.c.agent_starts, _START, type_=ARRAY(sa.Text))
        values["agent_starts"] = sa.func.array_prepend(_START, others[1 : _MOST_STARTS - 1], type_=ARRAY(sa.Text))
    return Statement(telling(nodes.update().where(condition).values(values).returning(*_OPENED)))


def _opened(found: Sequence[Any]) -> Opened | None:
    return next((Opened(NodeSession(row.grid_id, row.id, row.session), row.name) for row in found), None)


def _hello(hello: Hello, clock_skew: float | None) -> dict[str, Any]:
    """What a machine says, for `_session_values` and for conditions."""
    return _giving(
        {
            "engine_id": hello.engine_id,
            "node_key": hello.node_key or None,
            "agent_version": hello.agent_version,
            "start": hello.start_id,
            "clock_skew": clock_skew,
        }
    )


def _session_values() -> dict[str, Any]:
    return {
        "connected": True,
        "updated": False,
        "agent_version": _given("agent_version"),
        "last_seen_at": sa.func.now(),
        "connected_at": sa.func.now(),
        "updated_at": sa.func.now(),
        "lost_at": None,
        "close_code": None,
        "close_reason": None,
        "rejected_at": None,
        "clock_skew": _given("clock_skew"),
        # The first key that is shown counts until somebody resets it.
        "node_key": sa.func.coalesce(nodes.c.node_key, _given("node_key")),
    }


def _info() -> Statement:
    facts = {name: _given(name) for name in rows.facts_values(Facts())}
    labels = sa.case((sa.func.cardinality(nodes.c.labels) == 0, _given("labels")), else_=nodes.c.labels)
    news = sa.or_(
        ~nodes.c.updated,
        nodes.c.labels != labels,
        *(nodes.c[name].is_distinct_from(value) for name, value in facts.items()),
    )
    present = sa.and_(nodes.c.id == _given("id"), nodes.c.session == _given("session"), nodes.c.connected)
    values = {**facts, "labels": labels, "updated": True, "updated_at": sa.func.now()}
    statement = nodes.update().where(present, news).values(values)
    return Statement(telling(statement.returning(nodes.c.grid_id, nodes.c.id)))


_INFO = _info()


async def store_info(tx: AnyTx, session: NodeSession, info: NodeInfo) -> None:
    """Store what the agent tells about its machine; followers hear of it only when something differs. One statement,
    the last of a transaction."""
    own = {"id": session.node_id, "session": session.number, "labels": list(info.labels)}
    await run_last(tx, _INFO, **_giving(rows.facts_values(info.facts) | own))


_NODE = Statement(
    sa.select(*rows.SESSION_COLUMNS, *version_columns(grids))
    .join(grids, grids.c.id == nodes.c.grid_id)
    .where(nodes.c.id == sa.bindparam("id"))
)


async def find(db: Database, node_id: str) -> tuple[Node, Version] | None:
    """A node as far as its session depends on it, and the version of its grid."""
    found = await db.fetch(_NODE, id=node_id)
    return next(((rows.row_to_session_node(row), (row.xmin, row.ctid)) for row in found), None)


async def touch(tx: Tx, sightings: Sequence[Sighting]) -> set[NodeSession]:
    """Write signs of life of many sessions with one statement. Returns the sessions that are present ones."""
    heard = sa.text(
        "select * from unnest(cast(:ids as text[]), cast(:numbers as int[]), cast(:ages as float8[])) "
        "as heard(id, number, age)"
    ).bindparams(
        ids=[item.session.node_id for item in sightings],
        numbers=[item.session.number for item in sightings],
        ages=[item.age for item in sightings],
    )
    table = heard.columns(sa.column("id", sa.Text), sa.column("number", sa.Integer), sa.column("age", sa.Double))
    found = table.subquery("heard")
    statement = (
        nodes.update()
        .where(nodes.c.id == found.c.id, nodes.c.session == found.c.number, nodes.c.connected)
        .values(last_seen_at=sa.func.now() - _seconds(found.c.age))
        .returning(nodes.c.grid_id, nodes.c.id, nodes.c.session)
    )
    return {NodeSession(row.grid_id, row.id, row.session) for row in await tx.execute(statement)}


async def end(tx: Tx, sessions: Sequence[NodeSession], close: Close = GOODBYE) -> None:
    """The nodes are disconnected now, where these are still their present sessions."""
    await _disconnect(tx, sa.or_(*(_present(session) for session in sessions)), close)


async def reset_key(tx: Tx, node: Node) -> None:
    """Forget the key of a locked node, and end its session."""
    await reset(tx, node)
    await tx.execute(nodes.update().where(nodes.c.id == node.id).values(node_key=None, updated_at=sa.func.now()))


async def reset(tx: Tx, node: Node) -> None:
    """End the session of a locked node, and make its tokens void for the other services too. It is no peer of the other
    nodes until its agent has joined again."""
    if node.connected:
        refusal = standing(node.name, node.session, replace(node, connected=False))
        close = refusal.close if refusal else BROKEN
        await tx.execute(
            nodes.update()
            .where(nodes.c.id == node.id)
            .values(session=nodes.c.session + 1, public_key=None, vxlan_port=0)
        )
        await _disconnect(tx, nodes.c.id == node.id, close)


async def lose(tx: Tx, sessions: Sequence[NodeSession]) -> None:
    """The streams broke. The nodes stay connected until `disconnect_lost` gives them up."""
    still = sa.or_(*(_present(session) for session in sessions))
    await tx.execute(nodes.update().where(still).values(lost_at=sa.func.now()))


async def disconnect_lost(tx: Tx, grace: float) -> None:
    """Give up nodes whose stream broke more than `grace` seconds ago."""
    late = nodes.c.lost_at < sa.func.now() - _seconds(sa.literal(grace))
    await _disconnect(tx, sa.and_(nodes.c.connected, late), BROKEN)


async def count(tx: Tx) -> int:
    """All nodes, connected or not."""
    return int((await tx.execute(sa.select(sa.func.count()).select_from(nodes))).scalar_one())


async def disconnect_silent(tx: Tx, silence: float) -> None:
    """Give up nodes that nobody heard of for `silence` seconds: their replica of this service died."""
    late = nodes.c.last_seen_at < sa.func.now() - _seconds(sa.literal(silence))
    await _disconnect(tx, sa.and_(nodes.c.connected, late), UNHEARD)


async def _disconnect(tx: Tx, condition: sa.ColumnElement[bool], close: Close) -> None:
    statement = (
        nodes.update()
        .where(condition)
        .values(
            connected=False,
            disconnected_at=sa.func.coalesce(nodes.c.lost_at, sa.func.now()),
            lost_at=None,
            updated_at=sa.func.now(),
            close_code=close.code,
            close_reason=close.reason,
        )
        .returning(nodes.c.grid_id, nodes.c.id)
    )
    await tx.execute(telling(statement))


def _present(session: NodeSession) -> sa.ColumnElement[bool]:
    return sa.and_(nodes.c.id == session.node_id, nodes.c.session == session.number, nodes.c.connected)


def _seconds(value: sa.ColumnElement[float]) -> sa.ColumnElement[object]:
    return sa.func.make_interval(0, 0, 0, 0, 0, 0, value)
