"""The four services, the exec bridge and Envoy, with mutual TLS between them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

import services.auth_svc
import services.deploy_svc
import services.grid_svc
import services.vault_svc
from deploy import identities
from gateway.exec_bridge import server as exec_bridge
from gateway.exec_bridge.settings import ExecBridgeSettings
from gateway.settings import Endpoint
from services.auth_svc import app as auth_app
from services.auth_svc.settings import Settings as AuthSettings
from services.auth_svc.store import tables as auth_tables
from services.deploy_svc import app as deploy_app
from services.deploy_svc.settings import Settings as DeploySettings
from services.grid_svc import app as grid_app
from services.grid_svc.settings import Settings as GridSettings
from services.grid_svc.store import tables as grid_tables
from services.kernel.identity import Identity
from services.kernel.migrations import migrate
from services.vault_svc import app as vault_app
from services.vault_svc.settings import Settings as VaultSettings
from services.vault_svc.store import tables as vault_tables
from tests.integration.gateway import proxy
from tests.support.eventually import eventually
from tests.support.ports import free_port
from tests.support.postgres import TestPostgres
from tests.support.running import CLUSTER_SECRET, running

CODE = "the-code-of-the-first-login"
PARTS = ("auth-svc", "grid-svc", "deploy-svc", "vault-svc", "exec-bridge")


@dataclass
class Suite:
    """`folder` has the identity of each part, `ports` where it listens, `health` where auth_svc answers probes."""

    folder: Path
    ports: dict[str, int]
    health: str
    http: httpx.AsyncClient
    gateway: proxy.Gateway

    def issue(self, name: str) -> Identity:
        """An identity that the suite's authority signed for any name."""
        identities.Authority(self.folder / "authority").issue(self.folder / "more" / name, name)
        return Identity(self.folder / "more" / name)

    def rotate(self) -> None:
        """New certificates for all parts."""
        authority = identities.Authority(self.folder / "authority")
        for part in identities.PARTS:
            authority.issue(self.folder / part, part)


@pytest.fixture(scope="session")
def suite_url(postgres: TestPostgres) -> str:
    url = postgres.database()
    for package, tables in (
        (services.auth_svc, auth_tables),
        (services.grid_svc, grid_tables),
        (services.vault_svc, vault_tables),
    ):
        assert package.__file__ is not None
        migrate(url, Path(package.__file__).parent / "migrations", tables.metadata)
    deploy_app.migrate(DeploySettings(database_url=url, cluster_secret=SecretStr(CLUSTER_SECRET)))
    return url


@contextmanager
def _envoy(folder: Path, identity: Path, ports: dict[str, int]) -> Any:
    addresses = {f"{name.partition('-')[0]}_addresses": (Endpoint("127.0.0.1", port),) for name, port in ports.items()}
    config = proxy.settings(folder, 0, mtls_folder=identity, rate_limit_requests=0, **addresses)
    with proxy.running(config, folder) as gateway:
        yield gateway


@pytest.fixture(scope="session")
async def suite(suite_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Suite]:
    folder = tmp_path_factory.mktemp("identities")
    assert set(identities.ensure(folder)) == set(identities.PARTS)
    ports = {part: free_port() for part in PARTS}
    addresses = {f"{part.partition('-')[0]}_address": f"127.0.0.1:{ports[part]}" for part in PARTS[:-1]}
    common: dict[str, Any] = {"database_url": suite_url, "cluster_secret": CLUSTER_SECRET, **addresses}
    health = f"127.0.0.1:{free_port()}"

    def own(part: str) -> dict[str, Any]:
        return {**common, "listen_address": f"127.0.0.1:{ports[part]}", "mtls_folder": str(folder / part)}

    deploy = DeploySettings(**own("deploy-svc"))
    builds = {
        "auth-svc": partial(auth_app.build, AuthSettings(**own("auth-svc"), initial_admin_code=SecretStr(CODE))),
        "grid-svc": partial(grid_app.build, GridSettings(**own("grid-svc"))),
        "deploy-svc": partial(deploy_app.build, deploy),
        "vault-svc": partial(vault_app.build, VaultSettings(**own("vault-svc"), vault_key=SecretStr("k" * 32))),
    }
    bridge = ExecBridgeSettings(
        listen_address=f"127.0.0.1:{ports['exec-bridge']}",
        deploy_address=addresses["deploy_address"],
        mtls_folder=str(folder / "exec-bridge"),
    )
    async with AsyncExitStack() as stack:
        await asyncio.gather(
            *(
                stack.enter_async_context(
                    running(
                        build,
                        f"127.0.0.1:{ports[part]}",
                        identity=Identity(folder / part),
                        health_address=health if part == "auth-svc" else "",
                    )
                )
                for part, build in builds.items()
            )
        )
        await stack.enter_async_context(exec_bridge.serving(bridge))
        envoy = _envoy(tmp_path_factory.mktemp("envoy"), folder / "gateway", ports)
        gateway = await asyncio.to_thread(envoy.__enter__)
        stack.push_async_callback(asyncio.to_thread, envoy.__exit__, None, None, None)
        http = await stack.enter_async_context(httpx.AsyncClient(base_url=gateway.url, timeout=60))
        answer = await http.post("/oauth2/token", json={"grant_type": "authorization_code", "code": CODE})
        assert answer.status_code < 300, answer.text
        http.headers["authorization"] = f"Bearer {answer.json()['access_token']}"
        found = Suite(folder, ports, health, http, gateway)

        async def all_know_one_another() -> bool:
            await http.post("/v1/grids", json={"name": "trusted"})
            shown = [await http.get(f"/v1/grids/trusted{more}") for more in ("", "/services", "/secrets")]
            return all(answer.status_code == 200 for answer in shown)

        await eventually(all_know_one_another, message="the suite answers")
        yield found
