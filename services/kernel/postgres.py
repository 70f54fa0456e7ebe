"""Connections to the Postgres server that takes writes, whichever of those in the URL that is at the moment.

    postgresql://user:password@one:5432,two:5432,three:5432/database

asyncpg goes through several hosts as well, but within one deadline: a machine that is off, and says nothing, would use
all of it up.
"""

import asyncio
import socket
import time
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import asyncpg

from services.kernel.lookups import look_up

_PORT = 5432
_SECONDS, _SECONDS_EACH = 5.0, 2.0
# What a server has not confirmed within this time, it will not: its machine or the network to it is gone.
_UNCONFIRMED_MILLISECONDS = 5000
_IDLE_SECONDS, _PROBE_SECONDS, _PROBES = 5, 2, 3

# SQLSTATE of a server that starts, stops or recovers.
_STARTING = "57P03"

Address = tuple[str, int]


class Servers:
    """The servers of one URL; the one that was the primary last is asked first."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._addresses = addresses(url)

    async def connect(self, **options: Any) -> asyncpg.Connection:
        """A connection, of several servers to one that takes writes. Raises what asyncpg raises, ConnectionError when
        no server is the primary; within 5 s, or 2 s for each server."""
        if len(self._addresses) < 2:
            async with asyncio.timeout(_SECONDS):
                for host, _port in self._addresses:
                    await look_up(host)
                return _watched(await asyncpg.connect(self._url, timeout=_SECONDS, **options))
        until = time.monotonic() + max(_SECONDS, _SECONDS_EACH * len(self._addresses))
        while True:
            connection, problems = await self._one_after_the_other(options)
            if connection is not None:
                return connection
            # A primary that had too much to do for its two seconds may answer in the next ones.
            silent = any(isinstance(error, TimeoutError) for _host, error in problems)
            if not silent or until - time.monotonic() < _SECONDS_EACH:
                raise _why(problems)

    async def _one_after_the_other(
        self, options: dict[str, Any]
    ) -> tuple[asyncpg.Connection | None, list[tuple[str, Exception]]]:
        problems: list[tuple[str, Exception]] = []
        for address in list(self._addresses):
            try:
                connection = await self._connect(address, options)
            except (OSError, asyncpg.PostgresError, asyncpg.InternalClientError, asyncpg.InterfaceError) as error:
                problems.append((address[0], error))
                continue
            self._addresses.remove(address)
            self._addresses.insert(0, address)
            return connection, problems
        return None, problems

    async def _connect(self, address: Address, options: dict[str, Any]) -> asyncpg.Connection:
        host, port = address
        wanted = {"target_session_attrs": "read-write"} if "target_session_attrs" not in self._url else {}
        async with asyncio.timeout(_SECONDS_EACH):
            await look_up(host)
            connection = await asyncpg.connect(
                self._url, host=host, port=port, timeout=_SECONDS_EACH, **wanted, **options
            )
        return _watched(connection)


def _why(problems: list[tuple[str, Exception]]) -> Exception:
    """What a server says that could be the primary, else that there is none: all are off, starting, or standbys."""
    refusals = [error for _host, error in problems if getattr(error, "sqlstate", _STARTING) != _STARTING]
    if refusals:
        return refusals[0]
    told = "; ".join(f"{host}: {str(error) or 'no answer'}" for host, error in problems)
    return ConnectionError(f"no primary among the servers of the database: {told}")


async def connect(url: str, **options: Any) -> asyncpg.Connection:
    """A connection that is not of a pool; as `Servers.connect`."""
    return await Servers(url).connect(**options)


def addresses(url: str) -> list[Address]:
    """Host and port of each server; for one that is named in the query (a folder with a socket) there are none. Raises
    ValueError for a port that is no number."""
    parts = urlsplit(url)
    if "host" in parse_qs(parts.query):
        return []
    return [_address(one) for one in parts.netloc.rpartition("@")[2].split(",") if one]


def _address(text: str) -> Address:
    host, colon, port = text.rpartition(":") if not text.endswith("]") else (text, "", "")
    if not colon:
        host, port = text, str(_PORT)
    if not port.isdecimal():
        raise ValueError(f"{port!r} is no port")
    return unquote(host).strip("[]"), int(port)


def _watched(connection: asyncpg.Connection) -> asyncpg.Connection:
    """Notice within seconds that the machine of the server is gone. A connection that only listens would wait for ever,
    one with a statement on its way as long as that may take."""
    found = connection._transport.get_extra_info("socket")
    if found is not None and found.family != socket.AF_UNIX:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in (
            ("TCP_KEEPIDLE", _IDLE_SECONDS),
            ("TCP_KEEPINTVL", _PROBE_SECONDS),
            ("TCP_KEEPCNT", _PROBES),
            ("TCP_USER_TIMEOUT", _UNCONFIRMED_MILLISECONDS),
        ):
            # Not every system has all of them.
            if hasattr(socket, name):
                found.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    return connection
