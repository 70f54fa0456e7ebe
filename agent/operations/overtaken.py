"""Work that may take long, and ends when something else is wanted meanwhile."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from agent.domain.errors import Overtaken

T = TypeVar("T")


async def unless_overtaken(overtaken: asyncio.Event, patient: Coroutine[Any, Any, T]) -> T:
    """What `patient` returns. Raises Overtaken, and gives it up, once `overtaken` is set."""
    waiting, ended = asyncio.create_task(patient), asyncio.create_task(overtaken.wait())
    try:
        await asyncio.wait((waiting, ended), return_when=asyncio.FIRST_COMPLETED)
        if not waiting.done():
            raise Overtaken("something else is wanted, so what took its time was given up")
        return waiting.result()
    finally:
        waiting.cancel()
        ended.cancel()
        await asyncio.gather(waiting, ended, return_exceptions=True)
