"""How a deploy goes on, told as it happens."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Sequence

from services.deploy_svc.domain.deploy_progress import Line, gone
from services.deploy_svc.usecases.following import kept_alive
from services.kernel.errors import NotFound

_LOOK_SECONDS = 0.5
_KEEP_ALIVE_SECONDS = 0.5

# All lines there are to tell now, and whether the deploy has ended.
Look = Callable[[], Awaitable[tuple[Iterable[Line], bool]]]


async def follow(look: Look) -> AsyncIterator[Sequence[Line]]:
    """The lines, then new ones until the deploy has ended or was removed; an empty list whenever there was nothing for
    half a second. Raises what `look` raises; before anything is told when there is no such deploy for the caller."""
    async for batch in kept_alive(_batches(look), _KEEP_ALIVE_SECONDS, ()):
        yield batch


async def _batches(look: Look) -> AsyncGenerator[Sequence[Line]]:
    told: dict[Line, None] = {}
    while True:
        try:
            lines, ended = await look()
        except NotFound:
            if not told:
                raise
            lines, ended = [gone(next(iter(told)))], True
        news = [line for line in lines if line not in told]
        told.update(dict.fromkeys(news))
        if news:
            yield news
        if ended:
            return
        await asyncio.sleep(_LOOK_SECONDS)
