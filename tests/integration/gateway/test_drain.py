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


@contextmanager
def clients(gateways: list[Gateway]) -> Iterator[Counter[tuple[str, int]]]:
    """Four clients with kept connections, each behind a load balancer: a new connection goes to a gateway that is
    ready. Counts what came back, by gateway."""
    outcomes: Counter[tuple[str, int]] = Counter()
    stop = threading.Event()
    turns = itertools.cycle(gateways)

    def lets_in(gateway: Gateway) -> bool:
        try:
            return httpx.get(f"{gateway.url}/readyz").status_code == 200
        except httpx.ConnectError:
            return False

    def ready() -> Gateway:
        return next(filter(lets_in, turns))

    def client() -> None:
        while not stop.is_set():
            gateway = ready()
            with httpx.Client(base_url=gateway.url, timeout=20) as http:
                asked = False
                while not asked and not stop.is_set():
                    for method in ("GET", "POST"):
                        answer = http.request(method, "/v1/grids")
                        outcomes[gateway.target, answer.status_code] += 1
                        asked = asked or answer.headers.get("connection") == "close"

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
            assert main(["drain", "--notice", "0.2", "--limit", "20"]) == 0
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
