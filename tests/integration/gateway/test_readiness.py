"""`/readyz` follows the services, `/metrics` shows what they cost."""

from pathlib import Path

import httpx

from gateway.settings import Endpoint
from tests.integration.gateway.echo import Echo
from tests.integration.gateway.proxy import eventually, running, settings
from tests.support.ports import free_port


def test_ready_while_every_service_has_a_healthy_address(echo: Echo, tmp_path: Path) -> None:
    vault = Echo()
    vault.start()
    config = settings(tmp_path, echo.port, vault_addresses=(Endpoint("127.0.0.1", vault.port),))
    with running(config, tmp_path) as gateway, httpx.Client(base_url=gateway.url) as client:
        # On a busy machine a health check may be late, and the service out for a moment.
        eventually(lambda: client.get("/readyz").json() == {"status": "ok"}, "ready")
        response = client.get("/readyz")
        assert (response.status_code, response.json()) == (200, {"status": "ok"})
        assert response.headers["content-type"] == "application/json"
        assert not [name for name in response.headers if name.startswith("x-envoy-")]
        assert client.head("/readyz").status_code == 200
        vault.stop()
        eventually(lambda: client.get("/readyz").status_code == 503, "the loss is noticed")
        assert client.get("/readyz").headers["retry-after"] == "1"
        assert client.get("/readyz?x=1").json() == {"error": "Service unavailable. Try again in a moment."}
        assert client.get("/healthz").status_code == 200
        vault.start()
        eventually(lambda: client.get("/readyz").status_code == 200, "ready again")
    vault.stop()


def test_metrics_have_a_port_of_their_own(echo: Echo, tmp_path: Path) -> None:
    metrics = Endpoint("127.0.0.1", free_port())
    with running(settings(tmp_path, echo.port, metrics_address=metrics), tmp_path) as gateway:
        assert httpx.get(f"{gateway.url}/v1/grids").status_code == 200
        base = f"http://127.0.0.1:{metrics.port}"
        answer = httpx.get(f"{base}/metrics")
        assert answer.status_code == 200
        assert 'envoy_cluster_membership_healthy{envoy_cluster_name="grid"} 1' in answer.text
        for path in ("/", "/stats/prometheus", "/quitquitquit", "/config_dump", "/metrics/../quitquitquit"):
            assert httpx.get(f"{base}{path}").status_code == 404, path
        assert httpx.post(f"{base}/metrics").status_code == 404
        assert httpx.get(f"{gateway.url}/metrics").status_code == 404


def test_metrics_ask_for_their_token_where_one_is_set(echo: Echo, tmp_path: Path) -> None:
    metrics, token = Endpoint("127.0.0.1", free_port()), "0123456789abcdef"
    config = settings(tmp_path, echo.port, metrics_address=metrics, metrics_token=token)
    with running(config, tmp_path) as gateway:
        url = f"http://127.0.0.1:{metrics.port}/metrics"
        for shown in ("", f"Bearer {token[:-1]}", f"Bearer {token}0", f"Basic {token}"):
            answer = httpx.get(url, headers={"authorization": shown} if shown else {})
            assert (answer.status_code, "envoy_" in answer.text) == (401, False), shown
        answer = httpx.get(url, headers={"authorization": f"Bearer {token}"})
        assert (answer.status_code, "envoy_" in answer.text) == (200, True)
        assert gateway.settings.admin_socket.stat().st_mode & 0o777 == 0o600
