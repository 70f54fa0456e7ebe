"""`AsyncClient`: the same for asyncio."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from typing import Any, Self

import httpx

from kontena_client.errors import ApiError, Unreachable
from kontena_client.retries import pause, repeatable
from kontena_client.transport import (
    TAKES_LINES,
    Settings,
    give_up,
    is_end,
    pause_after,
    read_entry,
    reason_of,
    stream_timeout,
    unsent,
)
from kontena_rest.calls import AsyncCalls


class AsyncClient(Settings, AsyncCalls):
    """The same for asyncio."""

    def __init__(self, url: str, token: str = "", **options: Any) -> None:
        super().__init__(url, token, **options)
        self._http = httpx.AsyncClient(base_url=self.url, **self.options)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        await self._http.aclose()

    async def call(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        headers: Mapping[str, Any] | None = None,
    ) -> Any:
        """The document of the answer to any request of the API."""
        asked = f"{method} {path}"
        request = self._request(query or {}, body, headers or {})
        again = repeatable(method, request["headers"])
        attempt = 0
        while True:
            attempt += 1
            try:
                answer = await self._http.request(method, path, **request)
            except httpx.TransportError as error:
                wait = pause(self._attempts - attempt, again=again or unsent(error), status=None, retry_after=None)
                if wait is None:
                    raise Unreachable(self.url, asked, reason_of(error)) from error
            else:
                wait = pause_after(answer, self._attempts - attempt, again)
                if wait is None:
                    return self._document(asked, answer)
            await asyncio.sleep(wait)

    async def follow(self, path: str, **query: Any) -> AsyncIterator[dict[str, Any]]:
        """As `Client.follow`."""
        asked = {**query, "follow": "1"}
        async with aclosing(self._lines(path, asked, TAKES_LINES)) as lines:
            async for entry in lines:
                if entry is not None:
                    asked["from"] = entry.get("id")
                    yield entry

    async def progress(self, path: str) -> AsyncIterator[dict[str, Any] | None]:
        """As `Client.progress`."""
        async with aclosing(self._lines(path, {}, {})) as lines:
            async for line in lines:
                yield line
                if is_end(path, line):
                    return

    async def _lines(
        self, path: str, query: Mapping[str, Any], headers: Mapping[str, str]
    ) -> AsyncGenerator[dict[str, Any] | None]:
        """What breaks off is opened again, with the query as it is then."""
        asked, since = f"GET {path}", time.monotonic()
        while True:
            request = self._request(query, None, headers)
            try:
                async with self._http.stream("GET", path, timeout=stream_timeout(), **request) as answer:
                    if not answer.is_success:
                        await answer.aread()
                        self._document(asked, answer)
                    async for text in answer.aiter_lines():
                        since = time.monotonic()
                        yield read_entry(text)
            except (httpx.TransportError, ApiError) as error:
                give_up(self.url, asked, error, since)
            yield None
            await asyncio.sleep(0.5)
