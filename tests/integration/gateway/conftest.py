"""One Envoy in front of one echo server for all gateway tests of a worker."""

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest

from tests.integration.gateway.echo import Call, Echo
from tests.integration.gateway.proxy import Gateway, running, settings


@dataclass
class Caller:
    """An HTTP client that also shows what the service saw of the last request."""

    http: httpx.Client
    echo: Echo
    gateway: Gateway
    last: Call | None = None
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def __call__(self, method: str, path: str, body: Any = None, plan: Any = None, **headers: str) -> httpx.Response:
        """Send `body` (raw when it is text or bytes, else as JSON) with `plan` for the echo server."""
        request_id = f"test-{next(self._numbers)}"
        content = body if body is None or isinstance(body, str | bytes) else json.dumps(body)
        sent = {"x-request-id": request_id, **{name.replace("_", "-"): value for name, value in headers.items()}}
        if plan is not None:
            sent["x-test"] = json.dumps(plan)
        response = self.http.request(method, path, content=content, headers=sent)
        self.last = self.echo.calls.pop(sent["x-request-id"], None)
        return response

    @property
    def seen(self) -> Call:
        assert self.last is not None, "the request did not reach the service"
        return self.last


@pytest.fixture(scope="session")
def echo() -> Iterator[Echo]:
    server = Echo()
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def gateway(echo: Echo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = Path(tmp_path_factory.mktemp("gateway"))
    with running(settings(folder, echo.port, rate_limit_requests=5), folder) as gateway:
        yield gateway
        log = (folder / "envoy.log").read_text()
        assert gateway.counter("http.public.lua.errors") == 0, log
        assert "Deprecated" not in log, log


@pytest.fixture(scope="session")
def http(gateway: Gateway) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=gateway.url) as client:
        yield client


@pytest.fixture
def call(http: httpx.Client, echo: Echo, gateway: Gateway) -> Caller:
    return Caller(http, echo, gateway)


@pytest.fixture(scope="session")
def channel(gateway: Gateway) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(gateway.target) as channel:
        yield channel


def raw(channel: grpc.Channel, kind: str, path: str) -> Any:
    """A call of any RPC with bytes in and out; `kind` is e.g. `unary_stream`."""
    return getattr(channel, kind)(path)
