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
        if _all_claimed(range(first, first + size)):
            return first
    raise AssertionError(f"no {size} free ports in {among}")


def _all_claimed(ports: range) -> bool:
    """Each port for itself, as blocks of several sizes overlap; what was claimed is given back when one is missing."""
    claims: list[socket.socket] = []
    for port in ports:
        claim = _claim(f"port-{port}")
        claims += [claim] if claim else []
        if not claim or not port_is_free(port):
            for each in claims:
                each.close()
            return False
    for each in claims:
        each.detach()
    return True


def claimed(name: str) -> bool:
    """Whether the name is this process's from now on: no other process of the machine had it. The claim is a socket,
    which goes with the process, however it ends."""
    claim = _claim(name)
    if claim:
        claim.detach()
    return claim is not None


def _claim(name: str) -> socket.socket | None:
    claim = socket.socket(socket.AF_UNIX)
    try:
        claim.bind(f"\0kontena-test-{name}")
    except OSError:
        claim.close()
        return None
    return claim
