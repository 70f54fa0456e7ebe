"""Sessions of nodes in Postgres.

Every write names the session it speaks for, so that a late one of an older session changes nothing.
"""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import insert as pg_insert

from services.grid_svc.domain.join_token import digest
from services.grid_svc.domain.node import Node
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
from services.grid_svc.store import rows
from services.grid_svc.store.channels import telling
from services.grid_svc.store.nodes import UNIQUE_ENGINE_ID, inserted_values
from services.grid_svc.store.tables import grids, nodes
from services.kernel.db import Tx, unless_taken
from services.kernel.principal import NodeSession

# Enough to know all agents that share an id, however they take turns.
_MOST_STARTS = 8
# Made once: an alias costs more than the rest of its statement.
_OTHER = nodes.alias("other")


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
    return sa.and_(nodes.c.engine_id == hello.engine_id, nodes.c.grid_id == _grid_of(shown.grid))


def _grid_of(token: str) -> sa.ScalarSelect[str]:
    return sa.select(grids.c.id).where(grids.c.token_digest == digest(token)).scalar_subquery()


async def reopen(tx: Tx, shown: JoinTokens, hello: Hello, clock_skew: float | None) -> Node | None:
    """Begin the next session of a machine that is a node and proves it, with one statement.

    None when anything is to be looked at more closely.
    """
    if shown.grid:
        good = sa.and_(nodes.c.id == _known(shown.grid, hello), nodes.c.token_digest.is_(None))
    else:
        good = nodes.c.token_digest == digest(shown.node)
    key = nodes.c.node_key == hello.node_key if hello.node_key else nodes.c.node_key.is_(None)
    former = sa.cast(nodes.c.agent_starts[2:_MOST_STARTS], ARRAY(sa.Text))
    good = sa.and_(good, ~sa.and_(nodes.c.connected, sa.cast(hello.start_id, sa.Text) == sa.func.any(former)))
    return await _open(tx, sa.and_(nodes.c.engine_id == hello.engine_id, key, good), hello, clock_skew)


def _known(token: str, hello: Hello) -> sa.ScalarSelect[str]:
    """The node of a machine in the grid that has this token, or the one it was last when no grid has it and the machine
    has a key."""
    grid = _grid_of(token)
    here = _OTHER.c.engine_id == hello.engine_id
    if not hello.node_key:
        return sa.select(_OTHER.c.id).where(here, _OTHER.c.grid_id == grid).scalar_subquery()
    query = sa.select(_OTHER.c.id).where(
        here, _OTHER.c.node_key == hello.node_key, _OTHER.c.grid_id == sa.func.coalesce(grid, _OTHER.c.grid_id)
    )
    return query.order_by(_OTHER.c.connected_at.desc().nulls_last()).limit(1).scalar_subquery()


async def open_session(tx: Tx, node_id: str, hello: Hello, clock_skew: float | None) -> Node:
    """Begin the next session of a locked node; older ones are void when the transaction commits."""
    node = await _open(tx, nodes.c.id == node_id, hello, clock_skew)
    assert node is not None  # noqa: S101 -- it is locked.
    return node


async def register(tx: Tx, node: Node, hello: Hello, clock_skew: float | None) -> Node | None:
    """Add a node with its first session; None when the machine is a node of the grid by now."""
    starts = [hello.start_id] if hello.start_id else []
    first = {"session": 1, "agent_starts": starts, "node_key": hello.node_key or None}
    values = {**inserted_values(node), **_session_values(hello, clock_skew), **first}
    statement = pg_insert(nodes).values(values).on_conflict_do_nothing(constraint=UNIQUE_ENGINE_ID)
    row = (await tx.execute(telling(statement.returning(*rows.COLUMNS)))).first()
    return None if row is None else rows.row_to_node(row)


async def _open(tx: Tx, condition: sa.ColumnElement[bool], hello: Hello, clock_skew: float | None) -> Node | None:
    values = {**_session_values(hello, clock_skew), "session": nodes.c.session + 1, **_starts_with(hello.start_id)}
    statement = nodes.update().where(condition).values(values).returning(*rows.COLUMNS)
    row = (await tx.execute(telling(statement))).first()
    return None if row is None else rows.row_to_node(row)


def _starts_with(start_id: str) -> dict[str, Any]:
    """This start of an agent has the node now; agents of older releases do not say which one they are."""
    if not start_id:
        return {}
    text = sa.cast(start_id, sa.Text)
    others = sa.func.array_remove(nodes.c.agent_starts, text, type_=ARRAY(sa.Text))
    return {"agent_starts": sa.func.array_prepend(text, others[1 : _MOST_STARTS - 1], type_=ARRAY(sa.Text))}


def _session_values(hello: Hello, clock_skew: float | None) -> dict[str, Any]:
    return {
        "connected": True,
        "updated": False,
        "agent_version": hello.agent_version,
        "last_seen_at": sa.func.now(),
        "connected_at": sa.func.now(),
        "updated_at": sa.func.now(),
        "lost_at": None,
        "close_code": None,
        "close_reason": None,
        "rejected_at": None,
        "clock_skew": clock_skew,
        # The first key that is shown counts until somebody resets it.
        "node_key": sa.func.coalesce(nodes.c.node_key, hello.node_key or None),
    }


async def store_info(tx: Tx, session: NodeSession, info: NodeInfo) -> None:
    """Store what the agent tells about its machine; followers hear of it only when something differs. One statement."""
    facts = rows.facts_values(info.facts)
    labels = sa.case(
        (sa.func.cardinality(nodes.c.labels) == 0, sa.literal(list(info.labels), nodes.c.labels.type)),
        else_=nodes.c.labels,
    )
    news = sa.or_(
        ~nodes.c.updated,
        nodes.c.labels != labels,
        *(nodes.c[name].is_distinct_from(value) for name, value in facts.items()),
    )
    values = {**facts, "labels": labels, "updated": True, "updated_at": sa.func.now()}
    statement = nodes.update().where(_present(session), news).values(values)
    await tx.execute(telling(statement.returning(nodes.c.grid_id, nodes.c.id)))


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
