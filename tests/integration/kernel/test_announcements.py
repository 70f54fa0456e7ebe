"""News that a process tells together."""

import asyncio

import asyncpg
import pytest

from services.kernel.announcements import Announcements
from services.kernel.db import Database
from tests.support.eventually import eventually
from tests.support.postgres import TestPostgres


@pytest.fixture
def url(postgres: TestPostgres) -> str:
    return postgres.database()


async def test_what_is_noted_within_a_moment_is_told_once(url: str) -> None:
    told = list[str]()
    listening = await asyncpg.connect(url)
    await listening.add_listener("news", lambda *given: told.append(given[-1]))
    news, db = Announcements("news", gather_seconds=0.01), Database(url)
    news.note("while nobody tells")
    running = asyncio.create_task(news.run(db))
    await asyncio.sleep(0)
    try:
        for expected in (["a", "b"], ["a", "b", "a", "b"]):
            for key in ("b", "a", "a", "b"):
                news.note(key)

            async def all_told(expected: list[str] = expected) -> bool:
                return len(told) >= len(expected)

            await eventually(all_told, message="Postgres tells who listens")
            assert told == expected
    finally:
        running.cancel()
        await asyncio.wait([running])
        await listening.close()
        await db.close()
