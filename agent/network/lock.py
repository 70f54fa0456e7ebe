"""One agent of a machine at a time."""

import asyncio
import fcntl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from agent.network.commands import CommandFailed

_SECONDS = 30.0
_PAUSE = 0.05


@asynccontextmanager
async def held(path: Path) -> AsyncIterator[None]:
    """Between a look at the machine and what is made after it, so that two agents do not take one subnet. Raises
    CommandFailed when another one does not let go."""
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    with path.open("w") as file:
        clock = asyncio.get_running_loop()
        deadline = clock.time() + _SECONDS
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if clock.time() > deadline:
                    raise CommandFailed(f"another agent of this machine holds {path}") from None
                await asyncio.sleep(_PAUSE)
        yield
