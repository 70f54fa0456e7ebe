"""Sends metrics by UDP. Nothing here fails for the caller: an endpoint that is gone loses metrics, not samples."""

import asyncio
import socket
import time
from collections.abc import Iterable, Iterator
from typing import Any

from services.grid_svc.clients.targets import Targets
from services.grid_svc.domain.grid import Statsd as Endpoint
from services.kernel.logs import get_logger

log = get_logger(__name__)

# Fits into one packet on every network in use.
_LONGEST = 1400
_RESOLVED_SECONDS = 60.0
_LOOKUP_SECONDS = 2.0

_Address = tuple[int, Any]


class Statsd:
    """One socket per address family. Names are looked up once a minute. What `targets` refuses gets nothing."""

    def __init__(self, targets: Targets) -> None:
        self._targets = targets
        self._sockets: dict[int, socket.socket] = {}
        self._resolved: dict[Endpoint, tuple[float, _Address | None]] = {}

    async def send(self, endpoint: Endpoint, lines: Iterable[str]) -> None:
        """Send lines of the statsd protocol, many in a packet."""
        found = await self._address(endpoint)
        if found is None:
            return
        family, address = found
        if family not in self._sockets:
            self._sockets[family] = socket.socket(family, socket.SOCK_DGRAM)
            self._sockets[family].setblocking(False)
        for packet in packets(lines):
            try:
                self._sockets[family].sendto(packet, address)
            except OSError as error:
                log.warning("statsd packet lost", server=endpoint.server, port=endpoint.port, error=repr(error))
                return

    async def close(self) -> None:
        for each in self._sockets.values():
            each.close()

    async def _address(self, endpoint: Endpoint) -> _Address | None:
        known = self._resolved.get(endpoint)
        if known is not None and time.monotonic() - known[0] < _RESOLVED_SECONDS:
            return known[1]
        found: _Address | None = None
        try:
            async with asyncio.timeout(_LOOKUP_SECONDS):
                answers = await asyncio.get_running_loop().getaddrinfo(
                    endpoint.server, endpoint.port, type=socket.SOCK_DGRAM
                )
                refused = await self._targets.refusal(endpoint.server, str(answers[0][4][0]))
            if refused is None:
                found = (answers[0][0], answers[0][4])
            else:
                log.warning("statsd server refused", server=endpoint.server, reason=refused)
        except (OSError, UnicodeError, TimeoutError) as error:
            log.warning("statsd server not found", server=endpoint.server, error=repr(error))
        self._resolved[endpoint] = (time.monotonic(), found)
        return found


def packets(lines: Iterable[str]) -> Iterator[bytes]:
    """Lines joined to packets that fit."""
    packet = b""
    for line in lines:
        data = line.encode()
        if packet and len(packet) + 1 + len(data) > _LONGEST:
            yield packet
            packet = data
        else:
            packet = packet + b"\n" + data if packet else data
    if packet:
        yield packet
