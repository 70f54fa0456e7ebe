import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from services.kernel.db import Database
from tests.support.postgres import TestPostgres


@pytest.fixture
def url(postgres: TestPostgres) -> str:
    return postgres.database()


async def test_an_error_does_not_tell_what_a_statement_was_given(url: str) -> None:
    db = Database(url, pool_size=1)
    with pytest.raises(DBAPIError, match="division by zero") as raised:
        async with db.read() as tx:
            await tx.execute(sa.text("select 1 / 0, cast(:given as text)"), {"given": "hunter2"})
    assert "hunter2" not in str(raised.value)
    await db.close()
