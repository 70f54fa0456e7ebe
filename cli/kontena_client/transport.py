"""What both clients share: address, token, trust, deadlines, and how answers and broken connections are read."""

import json
import os
import ssl
import time
import uuid
from collections.abc import Mapping
from typing import Any, Self

import httpx

from kontena_client.errors import ApiError, KontenaError, Unreachable, seconds
from kontena_client.retries import pause

_USER_AGENT = "kontena-client"
# Of streams: lines come together then, as many as there are, and else each in a piece of its own.
TAKES_LINES = {"Accept": "application/x-ndjson, application/json"}
# The master sends something at least every second while somebody follows.
_STREAM_SILENCE = 20.0
# How long a stream that breaks off is opened again before it is given up.
_RECONNECT_SECONDS = 60.0


class Settings:
    """Base of both clients."""

    def __init__(
        self,
        url: str,
        token: str,
        *,
        ca_file: str = "",
        timeout: float = 30.0,
        attempts: int = 4,
        user_agent: str = _USER_AGENT,
    ) -> None:
        """`timeout` is in seconds, for each of at most `attempts` requests; `ca_file` has authorities to trust."""
        self.url = url.rstrip("/")
        if not self.url.startswith(("http://", "https://")):
            raise KontenaError(f"the address of the master must begin with http:// or https://, not {url!r}")
        self.token = token
        self._attempts = attempts
        # Headers of the answer that came last; its `etag` is what `if_match` takes.
        self.headers: Mapping[str, str] = {}
        trust: ssl.SSLContext | bool = False
        if self.url.startswith("https://"):
            # Loading the authorities takes longer than a request, so it is done only for whoever needs them.
            trust = ssl.create_default_context(cafile=ca_file or None)
        sent = {"Accept": "application/json", "User-Agent": user_agent}
        if token:
            sent["Authorization"] = f"Bearer {token}"
        self.options: dict[str, Any] = {
            "headers": sent,
            "timeout": httpx.Timeout(timeout, connect=min(timeout, 5.0)),
            "verify": trust,
        }

    @classmethod
    def from_environment(cls, **options: Any) -> Self:
        """A client with KONTENA_URL and KONTENA_TOKEN, and KONTENA_CA_FILE when it is there."""
        missing = [name for name in ("KONTENA_URL", "KONTENA_TOKEN") if not os.environ.get(name)]
        if missing:
            raise KontenaError(f"set {' and '.join(missing)} in the environment")
        ca_file = os.environ.get("KONTENA_CA_FILE", "")
        return cls(os.environ["KONTENA_URL"], os.environ["KONTENA_TOKEN"], ca_file=ca_file, **options)

    def _document(self, asked: str, answer: httpx.Response) -> Any:
        self.headers = answer.headers
        if answer.is_success:
            return answer.json() if answer.content else {}
        raise ApiError(answer.status_code, asked, error_of(answer), answer.headers)

    def _request(self, query: Mapping[str, Any], body: Any, headers: Mapping[str, Any]) -> dict[str, Any]:
        sent = {name: str(value) for name, value in headers.items() if value is not None}
        if "Idempotency-Key" in headers:
            sent.setdefault("Idempotency-Key", str(uuid.uuid4()))
        params = {name: parameter(value) for name, value in query.items() if value is not None}
        given: dict[str, Any] = {"params": params, "headers": sent}
        return {**given, "json": body} if body is not None else given


def pause_after(answer: httpx.Response, left: int, again: bool) -> float | None:
    """Seconds to wait before the request is sent again; None when the answer counts."""
    if answer.is_success:
        return None
    after = seconds(answer.headers.get("retry-after", ""))
    return pause(left, again=again, status=answer.status_code, retry_after=after)


def give_up(url: str, asked: str, error: Exception, since: float) -> None:
    """Raise when it makes no sense to open a stream again."""
    if isinstance(error, ApiError) and error.status < 500:
        raise error
    if time.monotonic() - since > _RECONNECT_SECONDS:
        raise Unreachable(url, asked, reason_of(error)) from error


def stream_timeout() -> httpx.Timeout:
    """Of a connection on which somebody follows."""
    return httpx.Timeout(_STREAM_SILENCE, connect=5.0)


def read_entry(line: str) -> dict[str, Any] | None:
    """The entry of a line; None for a sign of life."""
    if not line.strip():
        return None
    found: dict[str, Any] = json.loads(line)
    return found


def is_end(path: str, line: dict[str, Any] | None) -> bool:
    """Whether a line is the end of the deploy at the path, and not of one of its services."""
    return line is not None and line["step"] == "finished" and f"/{line['deploy_id']}/" in path


def unsent(error: httpx.TransportError) -> bool:
    """Whether the master has not seen the request: there was no connection."""
    return isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)


def reason_of(error: Exception) -> str:
    """Why no answer came, in words."""
    if isinstance(error, httpx.TimeoutException):
        return "it took too long"
    return str(error) or type(error).__name__


def error_of(answer: httpx.Response) -> object:
    """What an answer that is an error says."""
    try:
        found = answer.json()
    except ValueError:
        return answer.text.strip() or answer.reason_phrase
    if not isinstance(found, dict):
        return found
    if "error_description" in found:
        return f"{found.get('error')}: {found['error_description']}"
    return found.get("error", found)


def parameter(value: object) -> str:
    """A value in the query."""
    return str(value).lower() if isinstance(value, bool) else str(value)
