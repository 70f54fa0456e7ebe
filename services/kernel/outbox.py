"""Effects on other services leave through a table written in the same transaction as their cause.

Delivery is at least once and may be repeated after a crash, so receivers are idempotent by message id. Any number of
replicas relay, topic by topic, oldest first: messages are claimed for a while, delivered outside any transaction, then
deleted.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, Insert
from sqlalchemy.dialects.postgresql import insert as pg_insert
from sqlalchemy.sql.dml import ReturningInsert, ReturningUpdate

from services.kernel.db import AnyTx, Database, run, timestamp
from services.kernel.ids import new_id
from services.kernel.listen import LocalWakes
from services.kernel.logs import get_logger
from services.kernel.statements import Statement, when_committed
from services.kernel.storable import to_json

log = get_logger(__name__)

_BATCH = 200
_DELIVERY_SECONDS = 10.0
# How long the messages of a process that died wait for another one: longer than a delivery takes, as short as possible.
_CLAIM_SECONDS = 15
_RELEASE_SECONDS = 2.0
_POLL_SECONDS = 5.0
_GATHER_SECONDS = 0.02
# How long a delivery by another process stays unnoticed.
_LOOK_SECONDS = 0.25
# Tells that messages were delivered, or were tried in vain; no topic is called so.
_TRIED = ""
_TEXTS = ARRAY(sa.Text)


@dataclass(frozen=True, slots=True)
class Message:
    """One effect: `id` is unique, `payload` is what the handler of the topic understands."""

    id: str
    topic: str
    payload: Mapping[str, Any]


# Delivers messages of one topic, oldest first; raises when they must be delivered again.
Handler = Callable[[list[Message]], Awaitable[None]]


def outbox_table(metadata: sa.MetaData) -> sa.Table:
    """The outbox of a service, in its own schema."""
    return sa.Table(
        "outbox",
        metadata,
        sa.Column("seq", sa.BigInteger, sa.Identity(), primary_key=True),
        sa.Column("id", sa.String(24), nullable=False, unique=True),
        sa.Column("topic", sa.String(64), nullable=False),
        sa.Column("payload", JSONB, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),  # Those that failed.
        sa.Column("not_before", timestamp(), nullable=False, server_default=sa.func.now()),
        sa.Index("ix_outbox_not_before", "not_before"),
    )


class Outbox:
    """Writes messages with `emit`, and delivers them with `relay`, which each replica runs."""

    def __init__(self, table: sa.Table) -> None:
        self.table = table
        self._wakes = LocalWakes()
        self._emit = Statement(when_committed(self._added(pg_insert(table).values(_message())), self._written))
        self._claim = Statement(_claim(table))
        self._forget = Statement(table.delete().where(table.c.id == sa.func.any(sa.bindparam("ids", type_=_TEXTS))))

    async def emit(self, tx: AnyTx, topic: str, payload: Mapping[str, Any]) -> None:
        """Add a message to the transaction; it leaves when the transaction commits."""
        await run(tx, self._emit, **message(topic, payload))

    def telling(
        self, made: sa.CTE, *columns: sa.ColumnElement[Any], more: Mapping[str, sa.ColumnElement[Any]] | None = None
    ) -> sa.Select[Any]:
        """Selects columns of the one row that a statement makes or finds, and adds a message about it, once also when
        it is asked twice; none when there is no row. Its parameters are those of `message`, whose payload gets `more`
        of the row."""
        message = _message()
        if more:
            pairs = [part for name, column in more.items() for part in (sa.literal(name), column)]
            message["payload"] = message["payload"].op("||", return_type=JSONB())(sa.func.jsonb_build_object(*pairs))
        row = sa.select(message["id"], message["topic"], message["payload"]).select_from(made)
        added = self._added(pg_insert(self.table).from_select(list(message), row))
        return when_committed(sa.select(*columns).select_from(made).add_cte(added.cte("added")), self._written)

    async def delivered(self, db: Database, topic: str, payload: Mapping[str, Any], *, within: float) -> bool:
        """Wait until no message of the topic with this payload is left; False when there still is one after `within`
        seconds, or when all that are left were tried in vain: the receiver is away and learns of them later. For a
        caller whose answer must come after the effect; call it when the transaction has committed."""
        table = self.table
        same = (table.c.topic == topic, table.c.payload == sa.cast(dict(payload), JSONB))
        left = sa.select(sa.func.count(), sa.func.min(table.c.attempts)).where(*same)
        deadline = asyncio.get_running_loop().time() + within
        with self._wakes.subscribe(_TRIED) as tried:
            while True:
                tried.clear()
                async with db.read() as tx:
                    count, fewest_attempts = (await tx.execute(left)).one()
                if not count:
                    return True
                if fewest_attempts > 0 or asyncio.get_running_loop().time() > deadline:
                    return False
                with suppress(TimeoutError):
                    async with asyncio.timeout(_LOOK_SECONDS):
                        await tried.wait()

    async def relay(self, db: Database, handlers: Mapping[str, Handler]) -> None:
        """Deliver messages for ever, at once what this process wrote. A failing topic is retried with a growing pause;
        it and a receiver that hangs hold up no other topic."""
        async with asyncio.TaskGroup() as topics:
            for topic, handler in handlers.items():
                topics.create_task(self._relay(db, topic, handler))

    def wake(self, topic: str | None = None) -> None:
        """Let the relay of this process look for messages of the topic, or of all topics."""
        self._wakes.wake(topic)

    async def _relay(self, db: Database, topic: str, handler: Handler) -> None:
        with self._wakes.subscribe(topic) as wake:
            while True:
                wake.clear()
                # Of what comes after a claim we hear.
                while await self.deliver_due(db, topic, handler) == _BATCH:
                    pass
                with suppress(TimeoutError):
                    async with asyncio.timeout(_POLL_SECONDS):
                        await wake.wait()
                        # A burst of messages is one delivery, not hundreds.
                        await asyncio.sleep(_GATHER_SECONDS)

    async def deliver_due(self, db: Database, topic: str, handler: Handler) -> int:
        """One turn: claim what is due, deliver it, forget it. Returns how many messages were claimed."""
        claimed = await db.fetch(self._claim, topic=topic)
        batch = [
            Message(row.id, row.topic, json.loads(row.payload)) for row in sorted(claimed, key=lambda row: row.seq)
        ]
        if not batch:
            return 0
        try:
            async with asyncio.timeout(_DELIVERY_SECONDS):
                await handler(batch)
        except asyncio.CancelledError:
            # This process ends; another one need not wait for its claim to run out.
            with suppress(Exception):
                await self._release(db, batch)
            raise
        except Exception as error:
            log.warning("outbox delivery failed", topic=topic, count=len(batch), error=repr(error)[:300])
            await self._postpone(db, batch)
        else:
            await db.fetch(self._forget, ids=[m.id for m in batch])
            self.wake(_TRIED)
        return len(batch)

    async def _release(self, db: Database, batch: list[Message]) -> None:
        claimed = self.table.update().where(self.table.c.id.in_([m.id for m in batch]))
        async with asyncio.timeout(_RELEASE_SECONDS), db.transaction() as tx:
            await tx.execute(claimed.values(not_before=sa.func.now()))

    async def _postpone(self, db: Database, batch: list[Message]) -> None:
        table = self.table
        attempts = table.c.attempts + 1
        pause = sa.func.make_interval(0, 0, 0, 0, 0, 0, sa.func.least(60, sa.func.power(2, attempts)))
        failed = table.update().where(table.c.id.in_([m.id for m in batch]))
        async with db.transaction() as tx:
            await tx.execute(failed.values(attempts=attempts, not_before=sa.func.now() + pause))
        self.wake(_TRIED)

    def _added(self, insert: Insert) -> ReturningInsert[Any]:
        """Messages that are inserted, each once."""
        return insert.on_conflict_do_nothing(index_elements=[self.table.c.id]).returning(self.table.c.topic)

    def _written(self, given: Mapping[str, Any]) -> None:
        # A NOTIFY would wake all that listen to this database (docs/adr/0130-messages-wake-their-own-process.md).
        self.wake(given["message_topic"])


def message(topic: str, payload: Mapping[str, Any]) -> dict[str, str]:
    """A new message as parameters of a statement."""
    return {"message_id": new_id(), "message_topic": topic, "message_payload": to_json(payload)}


def _message() -> dict[str, sa.ColumnElement[Any]]:
    """The columns of a message, of the parameters that `message` gives."""
    return {
        "id": sa.bindparam("message_id", type_=sa.Text),
        "topic": sa.bindparam("message_topic", type_=sa.Text),
        "payload": sa.cast(sa.bindparam("message_payload", type_=sa.Text), JSONB),
    }


def _claim(table: sa.Table) -> ReturningUpdate[Any]:
    """Takes what is due of a topic, oldest first."""
    due = (
        sa.select(table.c.seq)
        .where(table.c.topic == sa.bindparam("topic"), table.c.not_before <= sa.func.now())
        .order_by(table.c.seq)
        .limit(_BATCH)
        .with_for_update(skip_locked=True)
    )
    return (
        table.update()
        .where(table.c.seq.in_(due.scalar_subquery()))
        .values(not_before=sa.func.now() + sa.func.make_interval(0, 0, 0, 0, 0, 0, _CLAIM_SECONDS))
        .returning(table.c.seq, table.c.id, table.c.topic, table.c.payload)
    )
