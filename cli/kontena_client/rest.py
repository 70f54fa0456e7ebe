"""`Client`: the calls of `kontena_rest` for code that waits."""

import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing
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
from kontena_rest.calls import Calls


class Client(Settings, Calls):
    """The API for code that waits. Safe for several threads; `close` it, or use it in a `with` block.

    What only reads, and what the API makes repeatable (`Idempotency-Key`, which is made up when none is given), is sent
    again when the master is away for a moment. Raises ApiError and Unreachable.
    """

    def __init__(self, url: str, token: str = "", **options: Any) -> None:
        super().__init__(url, token, **options)
        self._http = httpx.Client(base_url=self.url, **self.options)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def call(
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
                answer = self._http.request(method, path, **request)
            except httpx.TransportError as error:
                wait = pause(self._attempts - attempt, again=again or unsent(error), status=None, retry_after=None)
                if wait is None:
                    raise Unreachable(self.url, asked, reason_of(error)) from error
            else:
                wait = pause_after(answer, self._attempts - attempt, again)
                if wait is None:
                    return self._document(asked, answer)
            time.sleep(wait)

    def follow(self, path: str, **query: Any) -> Iterator[dict[str, Any]]:
        """What a log or event path answers, entry by entry, as it comes and without an end. What breaks off
        is opened again behind the entry that came last, for up to a minute; then Unreachable."""
        asked = {**query, "follow": "1"}
        for entry in self._lines(path, asked, TAKES_LINES):
            if entry is not None:
                asked["from"] = entry.get("id")
                yield entry

    def progress(self, path: str) -> Iterator[dict[str, Any] | None]:
        """What the path of a deploy, `.../deploys/{id}/follow`, answers, line by line, until the deploy has ended; None
        is a sign of life, of which there is one a second at least. What breaks off is opened again and tells all from
        the beginning, for up to a minute; then Unreachable."""
        with closing(self._lines(path, {}, {})) as lines:
            for line in lines:
                yield line
                if is_end(path, line):
                    return

    def _lines(
        self, path: str, query: Mapping[str, Any], headers: Mapping[str, str]
    ) -> Generator[dict[str, Any] | None]:
        """What breaks off is opened again, with the query as it is then."""
        asked, since = f"GET {path}", time.monotonic()
        while True:
            request = self._request(query, None, headers)
            try:
                with self._http.stream("GET", path, timeout=stream_timeout(), **request) as answer:
                    if not answer.is_success:
                        answer.read()
                        self._document(asked, answer)
                    for line in map(read_entry, answer.iter_lines()):
                        since = time.monotonic()
                        yield line
            except (httpx.TransportError, ApiError) as error:
                give_up(self.url, asked, error, since)
            yield None
            time.sleep(0.5)
