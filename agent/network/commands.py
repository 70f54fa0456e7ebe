"""Running the programs of the system that configure networks."""

import asyncio
from collections.abc import Sequence

from agent.domain.errors import AgentError

_SECONDS = 20.0


class CommandFailed(AgentError):
    """A program ended with an error or not at all. The message never holds its input."""


async def run(command: Sequence[str], given: str = "", *, stays: bool = False) -> str:
    """What the program writes. `given` is its input. One that `stays` goes to the background, and what it writes is not
    read: it would never end. Raises CommandFailed."""
    output = asyncio.subprocess.DEVNULL if stays else asyncio.subprocess.PIPE
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE if given else asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    except OSError as error:
        raise CommandFailed(f"{command[0]} cannot be run: {error.strerror}") from error
    try:
        async with asyncio.timeout(_SECONDS):
            written, problem = await process.communicate(given.encode() if given else None)
    except TimeoutError:
        raise CommandFailed(f"{' '.join(command)} did not end within {_SECONDS:.0f} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise CommandFailed(f"{' '.join(command)}: {(problem or b'').decode(errors='replace').strip()[:300]}")
    return (written or b"").decode(errors="replace")
