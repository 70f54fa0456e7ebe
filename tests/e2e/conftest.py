"""What several e2e tests of the running suite need; the suite itself is in tests/conftest.py."""

import random
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.provider_logins import configuration, openid_provider
from tests.support.engine import Engine
from tests.support.kctl import Kctl
from tests.support.pebble import MISSING, Pebble, pebble
from tests.support.suite import Api, Suite, soon

TLS_IMAGE = "kontena/e2e-openssl:1"


@dataclass(frozen=True)
class Authority:
    """The ACME server that vault_svc asks. It looks for all domains at `domains_at`, ports 80 and 443."""

    ca: Pebble
    domains_at: str


@pytest.fixture(scope="module")
async def authority(request: pytest.FixtureRequest, suite: Suite, api: Api) -> AsyncIterator[Authority]:
    """It refuses every seventh nonce; a module says with AUTHORITY what else it does. What the grid had from it goes
    with it."""
    if MISSING:
        pytest.fail(f"not installed: {', '.join(MISSING)} (Debian package pebble)")
    # An address of this machine that no other run uses.
    domains_at = f"127.{random.randrange(1, 255)}.{random.randrange(256)}.{random.randrange(1, 255)}"
    settings: dict[str, str] = request.module.AUTHORITY
    async with pebble(suite.acme_folder, ports=suite.acme, domains_at=domains_at, **settings) as ca:
        yield Authority(ca, domains_at)
        for kind in ("domain_authorizations", "certificates"):
            for one in api.call("GET", f"/v1/grids/{api.grid}/{kind}")[kind]:
                # Not before the service is gone that has it.
                soon(lambda path=f"/v1/{kind}/{one['id']}": api.request("DELETE", path).status_code in (200, 404))
        api.request("DELETE", f"/v1/secrets/{api.grid}/LE_PRIVATE_KEY")


@pytest.fixture(scope="module")
def provider(api: Api) -> Iterator[dict[str, str]]:
    """The configuration for a real OpenID provider, which runs."""
    with openid_provider() as url:
        yield configuration(url, api)


@pytest.fixture
def kctl(api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Kctl:
    """The command line, as administrator of the suite."""
    return Kctl(api, tmp_path, monkeypatch, capsys)


@pytest.fixture(scope="session")
def tls_image(suite_engine: Engine) -> str:
    """An image with a web server and `openssl`."""
    suite_engine.import_busybox(TLS_IMAGE, programs=["/usr/bin/openssl"])
    return TLS_IMAGE
