"""Loops that fail are tried again soon, however long the outage was."""

import asyncio
from contextlib import suppress

import pytest

from services.kernel import loops


def test_what_failed_often_is_tried_again_within_two_seconds() -> None:
    assert all(0.05 <= loops.backoff(failures) <= 2.0 for failures in range(200))


async def test_of_many_failures_in_a_row_fewer_and_fewer_are_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loops, "backoff", lambda _failures: 0.0)
    done = asyncio.Event()
    turns = 0

    async def failing() -> None:
        nonlocal turns
        turns += 1
        if turns > 20:
            done.set()
            await asyncio.Event().wait()
        raise ConnectionError("away")

    supervisor = loops.Supervisor()
    supervisor.add("failing", failing)
    async with supervisor:
        with suppress(TimeoutError):
            async with asyncio.timeout(10):
                await done.wait()
    told = [line for line in "".join(capsys.readouterr()).splitlines() if "loop failed" in line]
    assert (turns, len(told)) == (21, 5), told
