"""Statements that most requests make: compiled once, prepared once per connection, without what SQLAlchemy costs.

It takes 0.6 ms of CPU for a small query where this takes 0.03 (docs/adr/0060-parts-of-answers-are-kept.md), and 0.8 ms
for a transaction of two where this takes 0.1 (docs/adr/0111-writes-in-one-statement.md).
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypeVar

import asyncpg
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import asyncpg as dialect
from sqlalchemy.sql.dml import UpdateBase

from services.kernel.database_errors import moved_away
from services.kernel.errors import DomainError
from services.kernel.postgres import Servers
from services.kernel.storable import storable

MOST_CONNECTIONS = 2
_STATEMENT_SECONDS = 30.0
_TURN_SECONDS = 5.0

# A statement with several parts looks as if a plan for the very values were worth it, and Postgres then plans it each
# time, which takes longer than to answer.
# What it looks for is in memory as a rule. Where it expects to wait for a disk, it reads a whole table to list a grid.
_SESSION = {"timezone": "UTC", "plan_cache_mode": "force_generic_plan", "random_page_cost": "1.1"}

# What a connection says that was ended, also while its end is only just arriving.
_BROKEN = (
    asyncpg.InvalidCachedStatementError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
)

_DIALECT: sa.Dialect = dialect.dialect()  # type: ignore[no-untyped-call]


class Row(asyncpg.Record):  # type: ignore[misc]
    """A row whose columns are attributes. Values come as the driver has them: JSON is text."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        return self[name]


# Is called with what a statement was given.
Effect = Callable[[Mapping[str, Any]], None]
Q = TypeVar("Q", bound=sa.Executable)


def when_committed(query: Q, effect: Effect) -> Q:
    """The query, and one more thing that this process does when a Statement of it has been committed."""
    return query.execution_options(committed=(*query.get_execution_options().get("committed", ()), effect))


class Statement:
    """A query or a change with named parameters, and its effects in this process: see `when_committed`."""

    def __init__(self, query: sa.Select[Any] | UpdateBase) -> None:
        compiled = query.compile(dialect=_DIALECT)
        self.effects: Sequence[Effect] = query.get_execution_options().get("committed", ())
        self.sql = str(compiled)
        self._defaults = dict(compiled.params)
        self._names = tuple(compiled.positiontup or ())

    def arguments(self, given: dict[str, Any]) -> list[Any]:
        """The values of the parameters in their order."""
        values = {**self._defaults, **given}
        return [storable(values[name]) for name in self._names]


class _Connection:
    def __init__(self, raw: asyncpg.Connection) -> None:
        self.raw = raw
        self._prepared: dict[str, Any] = {}

    async def fetch(self, sql: str, arguments: list[Any]) -> list[Row]:
        prepared = self._prepared.get(sql)
        if prepared is None:
            prepared = self._prepared[sql] = await self.raw.prepare(sql)
        rows: list[Row] = await prepared.fetch(*arguments, timeout=_STATEMENT_SECONDS)
        return rows


class PreparedTx:
    """A transaction that begins with its first statement; see `Statements.transaction`."""

    def __init__(self, connection: _Connection) -> None:
        self._connection = connection
        self._begun = self._over = False
        self._effects: list[Callable[[], None]] = []

    async def fetch(self, statement: Statement, given: dict[str, Any]) -> list[Row]:
        """The rows of a statement."""
        if not self._begun:
            await self._say("begin")
            self._begun = True
        return await self._run(statement, given)

    async def fetch_last(self, statement: Statement, given: dict[str, Any]) -> list[Row]:
        """The same of the last statement, which nothing may follow. Where it is the only one it is a transaction by
        itself, so nobody has to say where that begins and ends."""
        rows = await self._run(statement, given)
        self._over = True
        return rows

    async def end(self, word: str) -> None:
        """`commit` or `rollback`, if there is anything to end."""
        if self._begun:
            await self._say(word)
        if word == "commit" or not self._begun:
            for effect in self._effects:
                effect()

    async def _run(self, statement: Statement, given: dict[str, Any]) -> list[Row]:
        if self._over:
            raise RuntimeError("a statement follows the last one of a transaction")
        rows = await self._connection.fetch(statement.sql, statement.arguments(given))
        self._effects += [partial(effect, given) for effect in statement.effects]
        return rows

    async def _say(self, word: str) -> None:
        await self._connection.raw.execute(word, timeout=_STATEMENT_SECONDS)


class Statements:
    """A few connections, opened when they are needed, each with one statement, or transaction, at a time."""

    def __init__(self, url: str) -> None:
        self._servers = Servers(url)
        self._turns = asyncio.Semaphore(MOST_CONNECTIONS)
        self._idle: list[_Connection] = []
        self._generation = 0

    async def fetch(self, statement: Statement, given: dict[str, Any]) -> list[Row]:
        """The rows as they are now; what is changed is committed. What broke with its connection is asked once more on
        a new one, so a change must do no harm when it is made twice."""
        rows = await self._fetch(statement.sql, statement.arguments(given))
        for effect in statement.effects:
            effect(given)
        return rows

    async def _fetch(self, sql: str, arguments: list[Any]) -> list[Row]:
        async with self._turns:
            while self._idle:
                if not (connection := self._idle.pop()).raw.is_closed():
                    try:
                        return await self._run(connection, sql, arguments)
                    except _BROKEN:
                        continue
            return await self._run(await self._connect(), sql, arguments)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[PreparedTx]:
        """A transaction that commits when the block ends and rolls back when it raises. Nothing is asked twice. Raises
        ConnectionError when its connection breaks."""
        async with asyncio.timeout(_TURN_SECONDS):
            await self._turns.acquire()
        try:
            connection, generation = await self._any(), self._generation
            tx = PreparedTx(connection)
            try:
                try:
                    yield tx
                except DomainError:
                    await tx.end("rollback")
                    self._give_back(connection, generation)
                    raise
                await tx.end("commit")
                self._give_back(connection, generation)
            except DomainError:
                raise
            except BaseException as error:
                connection.raw.terminate()
                if moved_away(error):
                    self.forget()
                if isinstance(error, _BROKEN):
                    raise ConnectionError(f"Postgres went away: {error}") from error
                raise
        finally:
            self._turns.release()

    def forget(self) -> None:
        """Connect anew before anything else is read: another server may be the primary by now."""
        self._generation += 1
        idle, self._idle = self._idle, []
        for connection in idle:
            connection.raw.terminate()

    async def close(self) -> None:
        self.forget()

    async def _run(self, connection: _Connection, sql: str, arguments: list[Any]) -> list[Row]:
        generation = self._generation
        try:
            rows = await connection.fetch(sql, arguments)
        except BaseException:
            # Whatever it was: nobody has to know in which state the connection is.
            connection.raw.terminate()
            raise
        self._give_back(connection, generation)
        return rows

    def _give_back(self, connection: _Connection, generation: int) -> None:
        if generation == self._generation:
            self._idle.append(connection)
        else:
            connection.raw.terminate()

    async def _any(self) -> _Connection:
        while self._idle:
            if not (connection := self._idle.pop()).raw.is_closed():
                return connection
        return await self._connect()

    async def _connect(self) -> _Connection:
        try:
            raw = await self._servers.connect(record_class=Row, server_settings=_SESSION)
        except OSError as error:
            raise ConnectionError(f"Postgres cannot be reached: {error}") from error
        return _Connection(raw)
