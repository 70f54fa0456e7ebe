"""How a deploy goes on, told as it happens."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import ExitStack, suppress

from services.deploy_svc.domain.deploy_progress import Line, gone
from services.deploy_svc.usecases.following import kept_alive
from services.kernel.errors import NotFound
from services.kernel.listen import Wakes

_KEEP_ALIVE_SECONDS = 0.5
# Notifications wake it; this is for those that were lost.
_POLL_SECONDS = 5.0
# A large deploy notifies more often than anybody needs to look.
_SHORTEST_PAUSE = 0.1

# All lines there are to tell now, and whether the deploy has ended.
Look = Callable[[], Awaitable[tuple[Iterable[Line], bool]]]


async def follow(wakes: Wakes, deploy_id: str, look: Look) -> AsyncIterator[Sequence[Line]]:
    """The lines, then new ones until the deploy has ended or was removed; an empty list whenever there was nothing for
    half a second. Looks when something is told about the deploy, or about those whose lines it has, which is what
    `wakes` are by. Raises what `look` raises; before anything is told when there is no such deploy for the caller."""
    async for batch in kept_alive(_batches(wakes, deploy_id, look), _KEEP_ALIVE_SECONDS, ()):
        yield batch


async def _batches(wakes: Wakes, deploy_id: str, look: Look) -> AsyncGenerator[Sequence[Line]]:
    told: dict[Line, None] = {}
    followed: set[str] = set()
    clock = asyncio.get_running_loop()
    with ExitStack() as subscriptions:
        wake = subscriptions.enter_context(wakes.subscribe(deploy_id))
        while True:
            wake.clear()
            looked = clock.time()
            try:
                lines, ended = await look()
            except NotFound:
                if not told:
                    raise
                lines, ended = [gone(next(iter(told)))], True
            news = [line for line in lines if line not in told]
            told.update(dict.fromkeys(news))
            for other in {line.deploy_id for line in news} - followed - {deploy_id}:
                subscriptions.enter_context(wakes.subscribe(other, wake))
                followed.add(other)
                # Something may have been told before anybody listened.
                wake.set()
            if news:
                yield news
            if ended:
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(_POLL_SECONDS):
                    await wake.wait()
            await asyncio.sleep(max(0.0, looked + _SHORTEST_PAUSE - clock.time()))
