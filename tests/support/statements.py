"""Counts what a request asks of Postgres."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from services.kernel import call
from services.kernel.statements import Row, Statement, Statements


@contextmanager
def statements_of(method: str) -> Iterator[list[str]]:
    """Statements that requests of one method run in transactions and through SQLAlchemy, as a list: others may be under
    way, of followers that a test before left behind, and of loops that a request of theirs started."""
    found: list[str] = []

    def note(_c: object, _cursor: object, statement: str, *_: object) -> None:
        if call.current().method.endswith(f"/{method}"):
            found.append(statement)

    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", note)


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
