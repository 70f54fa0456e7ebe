"""First answers to requests with an Idempotency-Key."""

from dataclasses import dataclass
from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from services.deploy_svc.store import stack_tables
from services.kernel import locks
from services.kernel.db import Tx

_t = stack_tables.idempotency_keys

_DAY = timedelta(days=1)
# What a row takes beside its answer.
_ROW_BYTES = 300


@dataclass(frozen=True, slots=True)
class Key:
    """Whose request it is; `key` is a digest."""

    principal: str
    method: str
    key: str


@dataclass(frozen=True, slots=True)
class Answer:
    """`request` is a digest of what was asked, `response` the message that was answered."""

    request: str
    response: bytes
    http_status: int | None


async def claim(tx: Tx, key: Key, kept: timedelta = _DAY) -> Answer | None:
    """The answer that was given, if any. Nobody else gets past here with this key before the transaction ends."""
    name = f"{key.principal}\n{key.method}\n{key.key}"
    await locks.hold(tx, locks.IDEMPOTENCY_KEY, name)
    query = _t.select().where(_where(key), _t.c.created_at > sa.func.now() - kept)
    row = (await tx.execute(query)).one_or_none()
    return None if row is None else Answer(row.request, row.response, row.http_status)


async def remember(tx: Tx, key: Key, answer: Answer) -> None:
    """Keep the answer; one that is too old to count is replaced."""
    values = {"request": answer.request, "response": answer.response, "http_status": answer.http_status}
    statement = insert(_t).values(principal=key.principal, method=key.method, key=key.key, **values)
    update = statement.on_conflict_do_update(constraint=_t.primary_key, set_={**values, "created_at": sa.func.now()})
    await tx.execute(update)


async def held(tx: Tx, principal: str) -> int:
    """How many bytes the answers to one caller take."""
    size = sa.func.sum(sa.func.octet_length(_t.c.response) + _ROW_BYTES)
    query = sa.select(sa.cast(sa.func.coalesce(size, 0), sa.BigInteger)).where(_t.c.principal == principal)
    return int((await tx.execute(query)).scalar_one())


async def expire(tx: Tx, kept: timedelta) -> None:
    """Forget what is too old to count."""
    await tx.execute(_t.delete().where(_t.c.created_at <= sa.func.now() - kept))


def _where(key: Key) -> sa.ColumnElement[bool]:
    return sa.and_(_t.c.principal == key.principal, _t.c.method == key.method, _t.c.key == key.key)
