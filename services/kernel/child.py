"""A process beside this one, for work that must not delay what this one answers.

The child's standard input is a pipe that nobody writes to: it ends when the parent does, however that ends, so that a
killed parent leaves nothing behind.
"""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Sequence

from services.kernel.logs import passed_on

_STOP_SECONDS = 15.0


async def run(command: Sequence[str]) -> None:
    """Run the command until it ends, which raises, so that a supervisor starts it again. When cancelled, stop it."""
    # Not by the event loop: its way to start processes runs the fork handlers of gRPC, whose threads are in use.
    process = await asyncio.to_thread(subprocess.Popen[bytes], command, stdin=subprocess.PIPE)
    try:
        with passed_on(process.send_signal):
            status = await asyncio.to_thread(process.wait)
        raise RuntimeError(f"the process {' '.join(command[-2:])} ended with status {status}")
    finally:
        await _stop(process)


async def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        async with asyncio.timeout(_STOP_SECONDS):
            await asyncio.to_thread(process.wait)
    except TimeoutError:
        process.kill()
        await asyncio.to_thread(process.wait)


async def end_with_parent() -> None:
    """In the child: wait until the parent is gone, then stop as on SIGTERM."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    await reader.read()
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.Event().wait()
