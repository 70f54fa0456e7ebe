"""With a wrong password of the database no service serves or says that it does; once it is right, all do."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from pathlib import Path

import asyncpg
import pytest

import services
from deploy.local import probes
from services.kernel.ids import new_id
from services.kernel.migrations import migrate
from tests.support.eventually import eventually
from tests.support.ports import free_port
from tests.support.postgres import TestPostgres
from tests.support.running import CLUSTER_SECRET

SERVICES = ("auth_svc", "grid_svc", "vault_svc", "deploy_svc")
# One that asks its database only, and one that asks others too.
FEW = ("auth_svc", "vault_svc")
GIVEN, RIGHT = "the-password-of-the-url", "the-password-of-the-role"


@pytest.fixture
def database(postgres: TestPostgres) -> str:
    """With the tables of all services."""
    url = postgres.database()
    for service in SERVICES:
        folder = Path(services.__file__).parent / service / "migrations"
        migrate(url, folder, import_module(f"services.{service}.store.tables").metadata)
    return url


def _as_role(url: str, role: str) -> str:
    """The same database, asked for with a role and the password `GIVEN`."""
    return url.replace("postgres:@", f"{role}:{GIVEN}@")


@pytest.fixture
async def locked(postgres: TestPostgres) -> AsyncIterator[tuple[str, asyncpg.Connection]]:
    """A role that needs a password, which `GIVEN` is not."""
    role, rules = f"locked_{new_id()}", postgres.data / "pg_hba.conf"
    admin, before = await asyncpg.connect(postgres.url), rules.read_text()
    await admin.execute(f"create role {role} superuser login password '{RIGHT}'")
    rules.write_text(f"local all {role} scram-sha-256\n{before}")
    await admin.execute("select pg_reload_conf()")
    yield role, admin
    rules.write_text(before)
    await admin.execute("select pg_reload_conf()")
    await admin.close()


@contextmanager
def _process(service: str, url: str, log: Path, ports: dict[str, int]) -> Iterator[str]:
    address = f"127.0.0.1:{ports[service]}"
    env = {f"{name.removesuffix('_svc').upper()}_ADDRESS": f"127.0.0.1:{port}" for name, port in ports.items()}
    env |= {"DATABASE_URL": url, "CLUSTER_SECRET": CLUSTER_SECRET, "LISTEN_ADDRESS": address, "DEPLOY_ROLE": "api"}
    with log.open("wb") as output:
        command = [sys.executable, "-m", f"services.{service}"]
        process = subprocess.Popen(command, env=os.environ | env, stdout=output, stderr=output)
    try:
        yield address
    finally:
        process.terminate()
        process.wait(60)


@pytest.mark.parametrize("names", [FEW, pytest.param(SERVICES, marks=pytest.mark.heavy)], ids=["few", "all"])
async def test_no_service_serves_with_a_wrong_password(
    database: str, locked: tuple[str, asyncpg.Connection], tmp_path: Path, names: tuple[str, ...]
) -> None:
    role, admin = locked
    url = _as_role(database, role)
    ports = {service: free_port() for service in SERVICES}
    logs = {service: tmp_path / f"{service}.log" for service in names}

    def told() -> bool:
        return all("password authentication failed" in log.read_text() for log in logs.values())

    def serving() -> list[bool]:
        return ['"serving"' in log.read_text() for log in logs.values()]

    with ExitStack() as stack:
        addresses = [stack.enter_context(_process(name, url, logs[name], ports)) for name in names]

        async def refused() -> bool:
            return told()

        await eventually(refused, within=120, message="each says why it is not ready")
        assert not any(serving())
        assert not any([await asyncio.to_thread(probes.service_serves, address) for address in addresses])
        await admin.execute(f"alter role {role} password '{GIVEN}'")

        async def served() -> bool:
            serve = all([await asyncio.to_thread(probes.service_serves, address) for address in addresses])
            # They say so a moment after they do.
            return serve and all(serving())

        await eventually(served, within=120, message="each serves with the right one")
    assert not [name for name, log in logs.items() if GIVEN in log.read_text()]
