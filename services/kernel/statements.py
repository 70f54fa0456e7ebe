"""Statements that most requests make: compiled once, prepared once per connection, without what a transaction costs.

SQLAlchemy takes 0.6 ms of CPU for a small query where this takes 0.03 (docs/adr/0060-parts-of-answers-are-kept.md).
"""

import asyncio
from typing import Any

import asyncpg
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import asyncpg as dialect
from sqlalchemy.sql.dml import ReturningInsert, ReturningUpdate

from services.kernel.postgres import Servers
from services.kernel.storable import storable

MOST_CONNECTIONS = 2
_STATEMENT_SECONDS = 30.0

# A statement with several parts looks as if a plan for the very values were worth it, and Postgres then plans it each
# time, which takes longer than to answer.
_SESSION = {"timezone": "UTC", "plan_cache_mode": "force_generic_plan"}

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


class Statement:
    """A query with named parameters, or a change that may be made twice without harm."""

    def __init__(self, query: sa.Select[Any] | ReturningInsert[Any] | ReturningUpdate[Any]) -> None:
        compiled = query.compile(dialect=_DIALECT)
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


class Statements:
    """A few connections, opened when they are needed, each with one statement at a time."""

    def __init__(self, url: str) -> None:
        self._servers = Servers(url)
        self._turns = asyncio.Semaphore(MOST_CONNECTIONS)
        self._idle: list[_Connection] = []
        self._generation = 0

    async def fetch(self, statement: Statement, given: dict[str, Any]) -> list[Row]:
        """The rows as they are now; what is changed is committed. What broke with its connection is asked once more on
        a new one."""
        arguments = statement.arguments(given)
        async with self._turns:
            while self._idle:
                if not (connection := self._idle.pop()).raw.is_closed():
                    try:
                        return await self._run(connection, statement.sql, arguments)
                    except _BROKEN:
                        continue
            return await self._run(await self._connect(), statement.sql, arguments)

    def forget(self) -> None:
        """Connect anew before anything else is read: another server may be the primary by now."""
        self._generation += 1
        idle, self._idle = self._idle, []
        for connection in idle:
            connection.raw.terminate()

    async def close(self) -> None:
        """Close all connections."""
        self.forget()

    async def _run(self, connection: _Connection, sql: str, arguments: list[Any]) -> list[Row]:
        generation = self._generation
        try:
            rows = await connection.fetch(sql, arguments)
        except BaseException:
            # Whatever it was: nobody has to know in which state the connection is.
            connection.raw.terminate()
            raise
        if generation == self._generation:
            self._idle.append(connection)
        else:
            connection.raw.terminate()
        return rows

    async def _connect(self) -> _Connection:
        try:
            raw = await self._servers.connect(record_class=Row, server_settings=_SESSION)
        except OSError as error:
            raise ConnectionError(f"Postgres cannot be reached: {error}") from error
        return _Connection(raw)
