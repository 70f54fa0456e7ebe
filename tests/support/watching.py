"""What a stand-in of a service needs to be followed."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from typing import Any

from services.kernel.informer import Change
from services.kernel.watch import differences


async def followed(state: Callable[[], dict[str, Any]]) -> AsyncIterator[Change[Any]]:
    """A watch of what a test sets: snapshot, Synced, then each change."""
    sent: dict[str, Any] = {}
    for turn in itertools.count():
        for change in differences(sent, state(), None, again=turn == 0):
            yield change
        await asyncio.sleep(0.01)
