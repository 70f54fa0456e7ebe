"""Takes processes of the running suite away for a while."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from circus.client import CircusClient

from tests.support.suite import Suite, soon


@contextmanager
def away(suite: Suite, names: Sequence[str], seconds: float) -> Iterator[None]:
    """These processes are stopped, without time for good-byes, and started again `seconds` later, after the block."""
    client = CircusClient(endpoint=f"ipc://{suite.var}/circus.sock", timeout=120)
    back = time.monotonic() + seconds

    def tell(command: str, **properties: object) -> None:
        for name in names:
            client.call({"command": command, "properties": {"name": name, "waiting": True, **properties}})

    try:
        tell("stop", graceful_timeout=0)
        # What they started themselves ends a moment later.
        soon(lambda: not any(suite.pids(name) for name in names), message="they are gone")
        yield
        soon(lambda: time.monotonic() >= back, within=seconds + 60)
    finally:
        tell("start")
        client.stop()
