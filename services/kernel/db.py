"""Postgres access: one engine per service, short transactions."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from contextvars import ContextVar
from datetime import datetime
from functools import partial
from typing import Any

import asyncpg
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import IntegrityError

from services.kernel import call, tracing
from services.kernel.database_errors import moved_away
from services.kernel.lean import bare
from services.kernel.postgres import Servers
from services.kernel.statements import MOST_CONNECTIONS, PreparedTx, Row, Statement, Statements
from services.kernel.storable import storable, storable_rows, to_json

# Without its sessions, and so without the ORM: 6 MB in each process that has a database.
with bare("sqlalchemy.ext.asyncio"):
    from sqlalchemy.ext.asyncio.engine import AsyncConnection, AsyncEngine, create_async_engine

# A transaction (or an autocommit connection for reads) that store functions run their SQL on.
Tx = AsyncConnection
# One that takes prepared statements (`run`), of either kind.
AnyTx = Tx | PreparedTx

# Connections that agents leave to everybody else, and how long one of their calls waits for one of the others.
_NOT_FOR_NODES = 2
_NODES_WAIT_SECONDS = 60

# Where a connection has what follows the commit of its transaction.
_EFFECTS = "effects"

_NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


def metadata(schema: str) -> sa.MetaData:
    """Table metadata of one service: its own schema, and named constraints."""
    return sa.MetaData(schema=schema, naming_convention=_NAMING)


def timestamp() -> sa.types.TypeEngine[datetime]:
    """An aware UTC time."""
    return postgresql.TIMESTAMP(timezone=True)


def engine_of(url: str, **options: Any) -> AsyncEngine:
    """The SQLAlchemy engine of a database URL as asyncpg understands it, with one or several hosts."""
    connect = partial(
        Servers(url).connect,
        # A stuck statement must not hold a pool slot for ever; loops and requests retry.
        command_timeout=options.pop("command_timeout", 30),
        # Statements are short: to compile one would take longer than to run it, and Postgres would when it expects many
        # more rows than there are.
        server_settings={"timezone": "UTC", "jit": "off"},
    )
    engine = create_async_engine("postgresql+asyncpg://", async_creator=connect, json_serializer=to_json, **options)
    sa.event.listen(engine.sync_engine, "before_cursor_execute", _storable, retval=True)
    return engine


def _storable(
    _connection: Any, _cursor: Any, statement: str, given: Any, _context: Any, _many: bool
) -> tuple[str, Any]:
    return statement, storable(given)


# The transaction that everything in this task takes part in, by database; see Database.one_transaction.
_joined: ContextVar[tuple["Database", Tx] | None] = ContextVar("joined", default=None)


class Database:
    """The connection pool of a service. Belongs to the event loop that made it."""

    def __init__(self, url: str, *, pool_size: int = 10) -> None:
        self.url = url
        # Those for prepared statements are of the number that operators give.
        size = pool_size - 2 * MOST_CONNECTIONS if pool_size > 3 * MOST_CONNECTIONS else pool_size
        self._turns_of_nodes = asyncio.Semaphore(max(1, size - _NOT_FOR_NODES))
        self._statements_of_nodes = asyncio.Semaphore(max(1, MOST_CONNECTIONS - 1))
        self._engine = engine_of(
            url,
            pool_size=size,
            max_overflow=0,
            pool_timeout=5,
            # Errors are logged, and what a statement was given may be nobody's business.
            hide_parameters=True,
        )
        self._statements = Statements(url)
        # Reads never wait for writes, which wait for one another.
        self._writes = Statements(url)
        sa.event.listen(self._engine.sync_engine, "handle_error", self._leave_what_moved_away)
        tracing.statements(self._engine.sync_engine)
        self._autocommit = self._engine.execution_options(isolation_level="AUTOCOMMIT")

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Tx]:
        """A transaction that commits when the block ends and rolls back when it raises."""
        if (outer := self._outer()) is not None:
            yield outer
            return
        async with self._begun() as tx:
            yield tx

    @asynccontextmanager
    async def prepared(self) -> AsyncIterator[AnyTx]:
        """As `transaction`, for nothing but prepared statements: `run`, at a fraction of what they cost there."""
        if (outer := self._outer()) is not None:
            yield outer
            return
        async with self._writes.transaction() as tx:
            yield tx

    @asynccontextmanager
    async def one_transaction(self) -> AsyncIterator[Tx]:
        """As `transaction`, and whatever this task opens on the database inside the block takes part in it.

        For what must commit together with a use case, and for answers that are read before it does; an error inside
        must leave the block.
        """
        if (outer := self._outer()) is not None:
            yield outer
            return
        async with self._begun() as tx:
            token = _joined.set((self, tx))
            try:
                yield tx
            finally:
                _joined.reset(token)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Tx]:
        """A connection for reads, or for a change that is one statement and is committed with its answer: no
        transaction, so no round trips to begin and end one."""
        if (outer := self._outer()) is not None:
            yield outer
            return
        async with self._connected(self._autocommit) as connection:
            yield connection

    async def fetch(self, statement: Statement, **given: Any) -> list[Row]:
        """The rows of a statement that is prepared already: what is committed when it is asked for. A change is
        committed with the answer."""
        if (outer := self._outer()) is not None:
            rows: list[Row] = await (await raw_connection(outer)).fetch(
                statement.sql, *statement.arguments(given), record_class=Row
            )
            _note_effect(outer, statement, given)
            return rows
        if not _for_node():
            return await self._statements.fetch(statement, given)
        async with _turn_of_node(self._statements_of_nodes):
            return await self._statements.fetch(statement, given)

    @asynccontextmanager
    async def _begun(self) -> AsyncIterator[AsyncConnection]:
        """A transaction, whose effects follow its commit."""
        async with self._connected(self._engine) as tx:
            info, effects = tx.info, list[Callable[[], None]]()
            info[_EFFECTS] = effects
            try:
                async with tx.begin():
                    yield tx
            finally:
                del info[_EFFECTS]
            for effect in effects:
                effect()

    @asynccontextmanager
    async def _connected(self, engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
        """A connection of the pool. That there is none is a ConnectionError, whatever the system says: no such socket,
        no such host."""
        async with AsyncExitStack() as opened:
            if _for_node():
                await opened.enter_async_context(_turn_of_node(self._turns_of_nodes))
            try:
                connection = await opened.enter_async_context(engine.connect())
            except OSError as error:
                raise ConnectionError(f"Postgres cannot be reached: {error}") from error
            yield connection

    def _leave_what_moved_away(self, context: Any) -> None:
        """Connect anew after a write was refused by a server that is read-only: another one is the primary by now."""
        if moved_away(context.original_exception):
            context.is_disconnect = True
            self._statements.forget()
            self._writes.forget()

    def _outer(self) -> Tx | None:
        joined = _joined.get()
        return joined[1] if joined is not None and joined[0] is self else None

    async def ping(self) -> None:
        """Raises unless Postgres answers."""
        async with self.read() as connection:
            await connection.execute(sa.text("select 1"))

    @property
    def engine(self) -> Any:
        """The SQLAlchemy engine, for query counters in tests."""
        return self._engine

    async def close(self) -> None:
        await self._statements.close()
        await self._writes.close()
        await self._engine.dispose()


def _for_node() -> bool:
    caller = call.current().principal
    return caller is not None and caller.node is not None


@asynccontextmanager
async def _turn_of_node(turns: asyncio.Semaphore) -> AsyncIterator[None]:
    """A thousand agents that ask at once wait for one another, and nobody else waits for them."""
    try:
        async with asyncio.timeout(_NODES_WAIT_SECONDS):
            await turns.acquire()
    except TimeoutError:
        raise ConnectionError(f"other agents used the database for {_NODES_WAIT_SECONDS} s") from None
    try:
        yield
    finally:
        turns.release()


async def run(tx: AnyTx, statement: Statement, **given: Any) -> Sequence[Any]:
    """The rows of a statement in a transaction, for less than it costs to have SQLAlchemy put it together. Values come
    as the driver has them: JSON goes in as text, and comes as text where nothing but prepared statements is run."""
    if isinstance(tx, PreparedTx):
        return await tx.fetch(statement, given)
    found = await tx.exec_driver_sql(statement.sql, tuple(statement.arguments(given)))
    _note_effect(tx, statement, given)
    return list(found) if found.returns_rows else []


def _note_effect(tx: Tx, statement: Statement, given: Mapping[str, Any]) -> None:
    """Of a statement that was run: what follows the commit of its transaction."""
    if statement.effects:
        tx.info[_EFFECTS] += [partial(effect, given) for effect in statement.effects]


async def run_last(tx: AnyTx, statement: Statement, **given: Any) -> Sequence[Any]:
    """As `run`, of the last statement of a transaction, which may cost less: see PreparedTx."""
    return await (tx.fetch_last(statement, given) if isinstance(tx, PreparedTx) else run(tx, statement, **given))


_NOW = Statement(sa.select(sa.func.now().label("now")))


async def now(tx: AnyTx) -> datetime:
    """The time of the transaction: one clock for all replicas."""
    [row] = await run(tx, _NOW)
    time: datetime = row[0]
    return time


async def notify(tx: Tx, channel: str, payload: str = "") -> None:
    """Send a NOTIFY when the transaction commits; equal notifications of one transaction arrive once."""
    await tx.execute(sa.select(sa.func.pg_notify(channel, payload)))


async def raw_connection(tx: Tx) -> asyncpg.Connection:
    """The asyncpg connection under a transaction."""
    raw = await tx.get_raw_connection()
    connection: asyncpg.Connection = raw.driver_connection
    return connection


async def copy(tx: Tx, table: sa.Table, columns: Sequence[str], records: Sequence[Sequence[Any]]) -> None:
    """Append rows by COPY, the fastest way for many. JSON comes as text of `to_json`."""
    raw = await raw_connection(tx)
    rows = storable_rows(records)
    await raw.copy_records_to_table(table.name, schema_name=table.schema, columns=columns, records=rows)


async def unless_taken(tx: Tx, statement: sa.Executable, constraint: str) -> sa.CursorResult[Any] | None:
    """Run a statement; None, with the transaction as it was before, when the unique constraint forbids it. For updates:
    an insert says `on conflict do nothing`."""
    try:
        async with tx.begin_nested():
            return await tx.execute(statement)
    except IntegrityError as error:
        if _violated_constraint(error) != constraint:
            raise
        return None


def _violated_constraint(error: BaseException) -> str | None:
    cause: Any = error
    while cause is not None:
        name = getattr(cause, "constraint_name", None)
        if name:
            return str(name)
        cause = getattr(cause, "orig", None) or cause.__cause__
    return None
