"""Looks into the database of the running suite."""

import asyncio
from typing import Any

import asyncpg

from tests.support.suite import Suite


def rows(suite: Suite, query: str) -> list[Any]:
    """What the query answers."""

    async def ask() -> list[Any]:
        connection = await asyncpg.connect(suite.database_url)
        try:
            return list(await connection.fetch(query))
        finally:
            await connection.close()

    return asyncio.run(ask())
