"""Waiting on a fact with a deadline."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


async def eventually(fact: Callable[[], Awaitable[T]], *, within: float = 90.0, message: str = "") -> T:
    """Poll `fact` until it returns something truthy; fails with the last reason.

    A fact that asserts, unpacks or looks up what is not there yet is asked again. `within` costs nothing when the fact
    comes early, so it is for slow machines; only a test that says how fast something is has a short one.
    """
    deadline = time.monotonic() + within
    last: object = None
    while True:
        begun = time.monotonic()
        try:
            last = await fact()
            if last:
                return last
        except (AssertionError, LookupError, ValueError) as error:
            last = error
        if time.monotonic() > deadline:
            raise AssertionError(f"{message or 'not true'} within {within} s; last: {last!r}")
        # Who waits leaves the machine to what is waited for.
        await asyncio.sleep(min(0.5, max(0.02, 2 * (time.monotonic() - begun))))
