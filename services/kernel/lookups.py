"""Looking up the names of machines, where one that is gone keeps nobody from the others.

The event loop has a handful of threads for all lookups. The name of a container goes with it, and a resolver may take
ten seconds and more to say so: a few attempts to reach such a machine use up all threads, and whatever else has a name
is as good as gone, the machine that took its place included.
"""

import asyncio
import socket
from concurrent.futures import Future
from threading import Thread

# Lookups under way, by name: everybody who asks meanwhile waits for the same one.
_under_way: dict[str, "Future[Exception | None]"] = {}


async def look_up(host: str) -> None:
    """Return when the name has an address; raise what the resolver said, an OSError, when it has none. However long
    that takes: whoever gives up leaves the lookup to the others."""
    lookup = _under_way.get(host)
    if lookup is None:
        lookup = _under_way[host] = Future()
        # Nobody waits for it at the end of the process.
        Thread(target=_ask, args=(host, lookup), name=f"lookup of {host}", daemon=True).start()
    if error := await asyncio.shield(asyncio.wrap_future(lookup)):
        raise error


def _ask(host: str, lookup: "Future[Exception | None]") -> None:
    problem: Exception | None = None
    try:
        socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        problem = error
    del _under_way[host]
    lookup.set_result(problem)
