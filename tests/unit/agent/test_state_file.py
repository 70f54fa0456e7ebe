"""How often a document is written that follows what the process knows."""

import asyncio
import time
from pathlib import Path

import pytest
from pydantic import BaseModel

from agent import state_dir
from agent.state_dir import StateDir, StateFile


class _Known(BaseModel):
    said: int


async def test_what_is_expensive_to_say_is_written_seldom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    go_on, rest = asyncio.Event(), asyncio.sleep

    async def sleep(seconds: float) -> None:
        # Others in this process, of which the test knows nothing, sleep as they did.
        if asyncio.current_task() is not writer:
            await rest(seconds)
            return
        pauses.append(seconds)
        if len(pauses) == 2:
            go_on.set()
        await rest(0 if len(pauses) < 2 else 3600)

    def content() -> BaseModel:
        began = time.thread_time()
        while time.thread_time() - began < 0.002:
            pass
        return _Known(said=len(pauses))

    folder = StateDir(tmp_path / "state")
    file = StateFile(folder, "known.json", content, 0.0)
    file.touch()
    writer = asyncio.create_task(file.run())
    monkeypatch.setattr(asyncio, "sleep", sleep)
    try:
        async with asyncio.timeout(30):
            await go_on.wait()
        delay, pause = pauses
        assert delay == 0
        assert state_dir._PAUSE_PER_COST * 0.002 <= pause <= state_dir._LONGEST_PAUSE
        assert (tmp_path / "state" / "known.json").read_text() == '{"said":1}'
    finally:
        writer.cancel()
        await asyncio.gather(writer, return_exceptions=True)
        folder.close()
