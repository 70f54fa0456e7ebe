"""A gateway leaves under load, and no request fails: clients go where they are let in."""

import itertools
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

from gateway.__main__ import main
from tests.integration.gateway.echo import Echo
from tests.integration.gateway.proxy import Gateway, eventually, running, settings


def _lets_in(gateway: Gateway) -> bool:
    try:
        return httpx.get(f"{gateway.url}/readyz").status_code == 200
    except httpx.TransportError:
        return False


def _session(gateway: Gateway, stop: threading.Event) -> Iterator[int]:
    """Statuses of requests on a connection, until the gateway asks for another one."""
    with httpx.Client(base_url=gateway.url, timeout=60) as http:
        for method in itertools.cycle(("GET", "POST")):
            answer = http.request(method, "/v1/grids")
            yield answer.status_code
            if answer.headers.get("connection") == "close" or stop.is_set():
                return


@contextmanager
def clients(gateways: list[Gateway]) -> Iterator[Counter[tuple[str, int | str]]]:
    """Four clients with kept connections, each behind a load balancer: a new connection goes to a gateway that is
    ready. Counts what came back, by gateway."""
    outcomes: Counter[tuple[str, int | str]] = Counter()
    stop = threading.Event()
    turns = itertools.cycle(gateways)

    def client() -> None:
        while not stop.is_set():
            gateway = next(filter(_lets_in, turns))
            try:
                for status in _session(gateway, stop):
                    outcomes[gateway.target, status] += 1
            except httpx.ConnectError:
                # It was ready when it was asked, and this client is slower than the notice: nothing was sent.
                continue
            except httpx.TransportError as error:
                outcomes[gateway.target, repr(error)] += 1

    threads = [threading.Thread(target=client) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        yield outcomes
    finally:
        stop.set()
        for thread in threads:
            thread.join(60)


def test_a_gateway_leaves_unnoticed(
    echo: Echo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = [tmp_path / name for name in ("stays", "leaves")]
    for folder in folders:
        folder.mkdir()
    with ExitStack() as life, ExitStack() as short_life:
        stays, leaves = (
            stack.enter_context(running(settings(folder, echo.port), folder))
            for stack, folder in zip((life, short_life), folders, strict=True)
        )
        with clients([stays, leaves]) as outcomes:
            eventually(lambda: outcomes[leaves.target, 200] > 50, "both are used")
            monkeypatch.setenv("GATEWAY_ADMIN_SOCKET", str(leaves.settings.admin_socket))
            assert main(["drain", "--notice", "1", "--limit", "60"]) == 0
            assert capsys.readouterr().err == "gateway: 0 connections left\n"
            assert httpx.get(f"{leaves.url}/readyz").status_code == 503
            short_life.close()
            seen = outcomes[stays.target, 200]
            eventually(lambda: outcomes[stays.target, 200] > seen + 50, "the load goes on")
    assert {status for _, status in outcomes} == {200}


def test_without_an_envoy_it_is_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("GATEWAY_ADMIN_SOCKET", "/nowhere/admin.sock")
    assert main(["drain"]) == 2
    assert "admin interface" in capsys.readouterr().err
