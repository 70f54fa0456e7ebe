"""Loopback ports for servers that start later or in another process.

All lie below the range from which the kernel takes ports for outgoing connections, so none of those takes one between
the choice and the start of the server. None is given twice, whichever process of the machine asks, while the one that
got it lives.
"""

import random
import socket

from deploy.local.probes import port_is_free

_SINGLE = range(10_000, 20_000)
_BLOCKS = range(20_000, 32_000)


def free_port() -> int:
    """A port nobody listens on."""
    return free_block(1, _SINGLE)


def free_block(size: int, among: range = _BLOCKS) -> int:
    """The first of `size` consecutive ports nobody listens on."""
    starts = range(among.start, among.stop - size + 1, size)
    for first in random.sample(starts, len(starts)):
        if claimed(f"ports-{first}") and all(port_is_free(port) for port in range(first, first + size)):
            return first
    raise AssertionError(f"no {size} free ports in {among}")


def claimed(name: str) -> bool:
    """Whether the name is this process's from now on: no other process of the machine had it. The claim is a socket,
    which goes with the process, however it ends."""
    claim = socket.socket(socket.AF_UNIX)
    try:
        claim.bind(f"\0kontena-test-{name}")
    except OSError:
        claim.close()
        return False
    claim.detach()
    return True
