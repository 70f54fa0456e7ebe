"""One trace of a request: from Envoy through a service to SQL."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

from deploy.local import probes
from tests.support.collector import Collector, Span, collector
from tests.support.ports import free_port
from tests.support.postgres import TestPostgres
from tests.support.running import CLUSTER_SECRET
from tests.support.suite import soon

pytestmark = pytest.mark.slow

CODE = "the-code-of-the-first-login"


@pytest.fixture
def told() -> Iterator[Collector]:
    with collector() as found:
        yield found


@contextmanager
def process(env: dict[str, str], *words: str) -> Iterator[None]:
    running = subprocess.Popen([sys.executable, "-m", *words], env=env, stdout=subprocess.DEVNULL)
    try:
        yield
    finally:
        running.terminate()
        running.wait(60)


@pytest.fixture
def url(postgres: TestPostgres, told: Collector, tmp_path: Path) -> Iterator[str]:
    """A gateway and an auth_svc that trace."""
    service, port = f"127.0.0.1:{free_port()}", free_port()
    env = {
        **os.environ,
        "DATABASE_URL": postgres.database(),
        "CLUSTER_SECRET": CLUSTER_SECRET,
        "VAULT_KEY": "0" * 64,
        "INITIAL_ADMIN_CODE": CODE,
        "LISTEN_ADDRESS": service,
        "TRACES_COLLECTOR": f"http://{told.address}",
        "OTEL_BSP_SCHEDULE_DELAY": "100",
        "GATEWAY_AUTH_ADDRESSES": service,
        "GATEWAY_PORT": str(port),
        "GATEWAY_ADMIN_SOCKET": str(tmp_path / "admin.sock"),
        "GATEWAY_TRACES_ADDRESS": told.address,
    }
    config = tmp_path / "envoy.json"
    for words in (("services.auth_svc", "migrate"), ("gateway", "render", str(config))):
        subprocess.run([sys.executable, "-m", *words], env=env, check=True)
    with ExitStack() as running:
        running.enter_context(process(env, "services.auth_svc"))
        soon(lambda: probes.service_serves(service), within=120, message="auth_svc serves")
        running.enter_context(process(env, "gateway.envoy", str(config)))
        found = f"http://127.0.0.1:{port}"
        soon(lambda: probes.http_status(f"{found}/v1/ping") == 200, message="the gateway answers")
        yield found


def test_a_request_is_one_trace_from_the_gateway_to_sql(told: Collector, url: str) -> None:
    body = {"grant_type": "authorization_code", "code": "guessed"}

    def whole() -> tuple[Span, Span, Span] | None:
        # Envoy tells of some spans at a time.
        httpx.post(f"{url}/oauth2/token", json=body, headers={"Accept": "application/json"})
        by_id = {span.id: span for span in told.spans}
        for statement in told.spans:
            service = by_id.get(statement.parent)
            first = by_id.get(service.parent) if service else None
            if "db.statement" in statement.attributes and service and first:
                return first, service, statement
        return None

    first, service, statement = soon(whole, message="a trace reaches from the gateway to SQL")
    assert (first.service, first.parent) == ("gateway", "")
    assert (service.service, service.name.partition("/")[0]) == ("auth_svc", "kontena.auth.v1.OAuthService")
    assert (statement.service, statement.name) in {
        ("auth_svc", verb) for verb in ("SELECT", "UPDATE", "INSERT", "DELETE")
    }
    assert {first.trace, service.trace} == {statement.trace}
    assert "guessed" not in str(told.spans), "a trace holds no values"
