"""auth_svc on a real Postgres behind a real gRPC server."""

from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import services.auth_svc
from services.auth_svc.app import administration, build
from services.auth_svc.settings import Settings
from services.auth_svc.store.tables import metadata
from services.auth_svc.usecases.administration import Administration
from services.kernel.migrations import migrate
from tests.integration.auth_svc.auth_client import AuthClient
from tests.integration.auth_svc.grid_stand_in import grid_svc
from tests.integration.auth_svc.login_steps import CARL
from tests.support.postgres import TestPostgres, empty_tables
from tests.support.provider import StandIn, provider_stand_in
from tests.support.running import CLUSTER_SECRET, Running, running

INITIAL_CODE = "the-initial-admin-code"
MIGRATIONS = Path(services.auth_svc.__file__).parent / "migrations"

MakeSettings = Callable[..., Settings]


@pytest.fixture(scope="session")
def auth_url(postgres: TestPostgres) -> str:
    url = postgres.database()
    migrate(url, MIGRATIONS, metadata)
    return url


@pytest.fixture(scope="session")
async def grid_address() -> AsyncIterator[str]:
    async with grid_svc() as address:
        yield address


@pytest.fixture(scope="session")
def auth_settings(auth_url: str, grid_address: str) -> MakeSettings:
    def make(**changed: Any) -> Settings:
        values = {
            "database_url": auth_url,
            "cluster_secret": CLUSTER_SECRET,
            "grid_address": grid_address,
            "initial_admin_code": INITIAL_CODE,
            "server_name": "m1",
        }
        return Settings(**(values | changed))

    return make


@pytest.fixture(scope="session")
async def auth(auth_settings: MakeSettings) -> AsyncIterator[Running]:
    async with running(partial(build, auth_settings())) as served:
        yield served


@pytest.fixture(autouse=True)
async def _fresh_installation(auth: Running, auth_url: str) -> None:
    """An empty database, bootstrapped as at the first start."""
    await empty_tables(auth_url, "auth")
    await auth.app.begin()


@pytest.fixture
async def offline(auth_settings: MakeSettings) -> AsyncIterator[Administration]:
    """What the admin commands work with."""
    async with administration(auth_settings()) as found:
        yield found


@pytest.fixture
def anonymous(auth: Running) -> AuthClient:
    return AuthClient(auth.channel)


@pytest.fixture
async def admin(auth: Running, offline: Administration) -> AuthClient:
    """The local administrator with a token that never expires."""
    return AuthClient(auth.channel, await offline.create_token("admin", "user,owner", "0"))


@pytest.fixture
async def bob(auth: Running, offline: Administration) -> AuthClient:
    """An ordinary user."""
    await offline.create_user("bob@x.org")
    return AuthClient(auth.channel, await offline.create_token("bob@x.org", "user", "0"))


@pytest.fixture
async def provider(admin: AuthClient) -> AsyncIterator[StandIn]:
    async with provider_stand_in() as found:
        found.says(CARL)
        await admin.configure(
            {
                "oauth2.client_id": "id",
                "oauth2.client_secret": "se:cret",
                "oauth2.authorize_endpoint": f"{found.url}/authorize?x=1#y",
                "oauth2.token_endpoint": f"{found.url}/token",
                "oauth2.userinfo_endpoint": f"{found.url}/user/:access_token",
                "oauth2.match_email": True,
                "server.root_url": "https://m.example.com/a/",
            }
        )
        yield found
