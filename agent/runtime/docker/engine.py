"""Connection to a Docker Engine: deadlines on every call, its errors in our terms."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import aiodocker
import aiohttp

from agent.domain.errors import EngineRefused, EngineUnreachable

CALL_SECONDS = 30.0
NOT_FOUND = 404

_CONNECT_SECONDS = 5.0
_CALLS_AT_ONCE = 16
_CANNOT_CONNECT = 900


class Engine:
    """`docker` inside `call` or `opened` blocks only."""

    def __init__(self, host: str) -> None:
        # No limit: each running container holds a connection for its log, and none may wait for another's.
        self._connector = _connector(host)
        self._timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS)
        # With a connector of ours, the library takes the URL as it is; a socket has no host name of its own.
        url = "unix://localhost" if host.startswith("unix://") else host.replace("tcp://", "http://", 1)
        self.docker = aiodocker.Docker(url=url, connector=self._connector, timeout=self._timeout)
        self._slots = asyncio.Semaphore(_CALLS_AT_ONCE)

    @asynccontextmanager
    async def call(self, seconds: float = CALL_SECONDS) -> AsyncIterator[aiodocker.Docker]:
        """A short call. Raises EngineUnreachable after `seconds`, EngineRefused for an answer that is an error."""
        async with self._slots, self.patient_call(seconds) as docker:
            yield docker

    async def show(self, look: Callable[[aiodocker.Docker], Awaitable[Any]]) -> dict[str, Any] | None:
        """What the engine shows of something; None when it does not have it."""
        try:
            async with self.call() as docker:
                shown: dict[str, Any] = await look(docker)
        except EngineRefused as error:
            if error.status == NOT_FOUND:
                return None
            raise
        return shown

    @asynccontextmanager
    async def patient_call(self, seconds: float | None) -> AsyncIterator[aiodocker.Docker]:
        """As `call`, for one that takes its time (pull, stop) and must not hold up short ones."""
        with _translated():
            async with asyncio.timeout(seconds):
                yield self.docker

    @asynccontextmanager
    async def opened(
        self,
        path: str,
        params: Mapping[str, str],
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        seconds: float | None = CALL_SECONDS,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """A stream that may stay open for ever; opening it takes at most `seconds`. It is cut on leaving."""
        with _translated():
            # aiodocker has no public way to a raw stream: its log reader drops which of the two streams a line is of.
            async with asyncio.timeout(seconds):
                response = await self.docker._do_query(path, method, params=dict(params), headers=headers)
            try:
                yield response
            finally:
                response.close()

    async def close(self) -> None:
        await self.docker.close()
        await self._connector.close()


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except aiodocker.DockerError as error:
        if error.status == _CANNOT_CONNECT:
            raise EngineUnreachable(error.message) from error
        raise EngineRefused(error.status, error.message) from error
    except TimeoutError as error:
        raise EngineUnreachable("the container engine did not answer in time") from error
    except (aiohttp.ClientError, OSError) as error:
        raise EngineUnreachable(f"the connection to the container engine broke: {error!r}") from error


def _connector(host: str) -> aiohttp.BaseConnector:
    if host.startswith("unix://"):
        return aiohttp.UnixConnector(host.removeprefix("unix://"), limit=0)
    if host.startswith(("tcp://", "http://", "https://")):
        return aiohttp.TCPConnector(limit=0)
    raise ValueError(f"DOCKER_HOST must begin with unix:// or tcp://, not {host!r}")
