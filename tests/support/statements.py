"""Counts what a request asks of Postgres."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import sqlalchemy as sa

from services.kernel import call
from services.kernel.statements import PreparedTx, Row, Statement, Statements


@contextmanager
def statements_of(method: str) -> Iterator[list[str]]:
    """Statements that requests of one method run in transactions and through SQLAlchemy, as a list: others may be under
    way, of followers that a test before left behind, and of loops that a request of theirs started. Where a transaction
    of prepared statements needs them, its beginning and its end are among them."""
    found: list[str] = []
    run, say = PreparedTx._run, PreparedTx._say

    def note(statement: str) -> None:
        if call.current().method.endswith(f"/{method}"):
            found.append(statement)

    def execute(_c: object, _cursor: object, statement: str, *_: object) -> None:
        note(statement)

    async def noted_run(self: PreparedTx, statement: Statement, given: dict[str, Any]) -> list[Row]:
        note(statement.sql)
        return await run(self, statement, given)

    async def noted_say(self: PreparedTx, word: str) -> None:
        note(word)
        await say(self, word)

    sa.event.listen(sa.Engine, "before_cursor_execute", execute)
    try:
        with patch.object(PreparedTx, "_run", noted_run), patch.object(PreparedTx, "_say", noted_say):
            yield found
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", execute)


@contextmanager
def prepared_of(method: str) -> Iterator[list[str]]:
    """The same of statements that are prepared and transactions of their own (services/kernel/statements.py)."""
    found: list[str] = []
    fetch = Statements.fetch

    async def noted(self: Statements, statement: Statement, given: dict[str, Any]) -> list[Row]:
        if call.current().method.endswith(f"/{method}"):
            found.append(statement.sql)
        return await fetch(self, statement, given)

    Statements.fetch = noted  # type: ignore[method-assign]
    try:
        yield found
    finally:
        Statements.fetch = fetch  # type: ignore[method-assign]
