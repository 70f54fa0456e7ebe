"""A NUL character becomes U+FFFD on every way into the database, and nothing else changes."""

from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from services.kernel.db import Database, copy, metadata
from services.kernel.statements import Statement
from services.kernel.storable import to_json
from tests.support.postgres import TestPostgres

TABLE = sa.Table(
    "texts",
    metadata("public"),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("words", ARRAY(sa.Text)),
    sa.Column("document", JSONB),
    sa.Column("raw", sa.LargeBinary),
)
# The second member holds a backslash and letters that only look like an escaped character.
GIVEN: dict[str, Any] = {
    "name": "a\0b",
    "words": ["\0", "é", None],
    "document": {"k\0": ["\0\0", "\\u0000", "\\\0"], "n": 1.5},
    "raw": b"\0",
}
STORED = {
    "name": "a\ufffdb",
    "words": ["\ufffd", "é", None],
    "document": {"k\ufffd": ["\ufffd\ufffd", "\\u0000", "\\\ufffd"], "n": 1.5},
    "raw": b"\0",
}
BY_NAME = Statement(sa.select(TABLE.c.name).where(TABLE.c.name == sa.bindparam("name")))


async def _execute(db: Database) -> None:
    async with db.transaction() as tx:
        await tx.execute(TABLE.insert().values(GIVEN))


async def _execute_many(db: Database) -> None:
    async with db.transaction() as tx:
        await tx.execute(TABLE.insert(), [GIVEN, GIVEN | {"name": "other"}])


async def _copy(db: Database) -> None:
    row = [*list(GIVEN.values())[:2], to_json(GIVEN["document"]), GIVEN["raw"]]
    async with db.transaction() as tx:
        await copy(tx, TABLE, [column.name for column in TABLE.columns], [row])


@pytest.fixture
def url(postgres: TestPostgres) -> str:
    return postgres.database()


@pytest.mark.parametrize("write", [_execute, _execute_many, _copy])
async def test_text_is_stored_without_nul(url: str, write: Any) -> None:
    db = Database(url, pool_size=1)
    async with db.transaction() as tx:
        await tx.run_sync(TABLE.metadata.create_all)
    await write(db)
    async with db.read() as tx:
        found = await tx.execute(sa.select(TABLE).where(TABLE.c.name.in_([GIVEN["name"], "\0"])))
        assert [dict(row._mapping) for row in found] == [STORED]
    assert [row.name for row in await db.fetch(BY_NAME, name=GIVEN["name"])] == [STORED["name"]]
    await db.close()
