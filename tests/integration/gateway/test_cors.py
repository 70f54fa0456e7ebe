"""Browsers of other origins: refused unless settings name them."""

from collections.abc import Iterator

import httpx
import pytest

from tests.integration.gateway.conftest import Caller
from tests.integration.gateway.echo import Echo
from tests.integration.gateway.proxy import running, settings

ORIGIN = "https://console.example"
PREFLIGHT = {"access-control-request-method": "PUT", "access-control-request-headers": "authorization,content-type"}


@pytest.fixture(scope="module")
def opened(echo: Echo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("cors")
    with (
        running(settings(folder, echo.port, cors_origins=(ORIGIN,)), folder) as gateway,
        httpx.Client(base_url=gateway.url) as client,
    ):
        yield client


def test_off_unless_configured(call: Caller) -> None:
    response = call("OPTIONS", "/v1/grids", origin=ORIGIN, access_control_request_method="GET")
    assert response.status_code == 404
    headers = {*response.headers, *call("GET", "/v1/grids", origin=ORIGIN).headers}
    assert not [name for name in headers if name.startswith("access-control-")]


def test_preflight(opened: httpx.Client) -> None:
    response = opened.options("/v1/nodes/g/n", headers={"origin": ORIGIN, **PREFLIGHT})
    assert response.status_code == 200
    assert response.headers["access-control-allow-origin"] == ORIGIN
    assert "PUT" in response.headers["access-control-allow-methods"]
    assert "authorization" in response.headers["access-control-allow-headers"]
    assert "access-control-allow-credentials" not in response.headers


@pytest.mark.parametrize(
    ("path", "status"), [("/v1/grids", 200), ("/nope", 404), ("/v1/services/g/s/web/container_logs?since=%FF", 400)]
)
def test_answers_of_any_kind_may_be_read(opened: httpx.Client, path: str, status: int) -> None:
    response = opened.get(path, headers={"origin": ORIGIN})
    assert response.status_code == status
    assert response.headers["access-control-allow-origin"] == ORIGIN
    assert "x-request-id" in response.headers["access-control-expose-headers"]


@pytest.mark.parametrize("origin", ["https://evil.example", "https://console.example.evil", "null"])
def test_other_origins_are_not_let_in(opened: httpx.Client, origin: str) -> None:
    for response in (
        opened.get("/v1/grids", headers={"origin": origin}),
        opened.options("/v1/grids", headers={"origin": origin, **PREFLIGHT}),
    ):
        assert "access-control-allow-origin" not in response.headers
