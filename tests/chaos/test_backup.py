"""The running suite is backed up, loses its database and keys, and is restored: it is what it was, and no container
notices."""

import asyncio
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.containers import Docker
from tests.support.installation import contents
from tests.support.suite import Api, Suite, soon

PASSPHRASE = "correct horse battery"
# What agents and loops write at any time, and with it what is under way between a backup and a look.
LIVELY = (
    "auth.outbox", "grid.outbox", "deploy.outbox", "vault.outbox", "auth.audit_logs", "grid.nodes",
    "grid.network_reports", "grid.resource_usage", "deploy.container", "deploy.event_", "deploy.instances",
    "deploy.log_", "deploy.node_streams", "deploy.service_checks", "vault.acme_leases",
)  # fmt: skip


def stateful(name: str, image: str) -> dict[str, Any]:
    """A service of two instances with data."""
    return {
        "name": name, "image": image, "stateful": True, "instances": 2, "cmd": ["sleep", "100000"],
        "volumes": ["/data"], "stop_grace_period": "0s",
    }  # fmt: skip


@pytest.fixture
def service(api: Api, docker: Docker, image: str) -> Iterator[str]:
    body = stateful("kept", image) | {"secrets": [{"secret": "KEPT", "name": "KEPT", "type": "env"}]}
    # One that a service uses, and one that may change without a deploy.
    for name in ("KEPT", "CHANGED"):
        api.call(
            "POST", f"/v1/grids/{api.grid}/secrets", {"name": name, "value": "value-of-before-the-backup"}, status=201
        )
    found = str(api.call("POST", f"/v1/grids/{api.grid}/services", body, status=201)["id"])
    api.deploy(found)
    yield found
    api.call("DELETE", f"/v1/services/{found}")
    soon(lambda: docker.all(found) == [], message="its containers are gone")
    for name in ("KEPT", "CHANGED"):
        api.call("DELETE", f"/v1/secrets/{api.grid}/{name}")


def make(suite: Suite, target: str, file: Path, passphrase: str = PASSPHRASE) -> subprocess.CompletedProcess[str]:
    env = {**suite.env, "BACKUP_PASSPHRASE": passphrase}
    command = ["make", target, f"FILE={file}"]
    return subprocess.run(command, cwd=suite.folder, env=env, capture_output=True, text=True, timeout=400, check=False)


@pytest.mark.heavy
def test_a_suite_that_lost_everything_is_what_it_was_and_no_container_notices(
    suite: Suite, api: Api, docker: Docker, image: str, service: str, tmp_path: Path
) -> None:
    file = tmp_path / "suite.backup"
    untouched = docker.running(service)
    assert len(untouched) == 2
    done = make(suite, "backup", file)
    assert done.returncode == 0, done.stderr
    before = asyncio.run(contents(suite.database_url))
    secrets_env = (suite.var / "secrets.env").read_text()
    # What comes after the backup is not in it, containers and their data included.
    younger = str(api.call("POST", f"/v1/grids/{api.grid}/services", stateful("younger", image), status=201)["id"])
    api.deploy(younger)
    assert len(docker.running(younger)) == len(volumes(docker, "younger")) == 2
    api.call("PUT", f"/v1/secrets/{api.grid}/CHANGED", {"value": "value-of-after-the-backup"})
    api.call("POST", f"/v1/grids/{api.grid}/secrets", {"name": "LATER", "value": "gone-with-the-restore"}, status=201)

    wrong = make(suite, "restore", file, "another passphrase")
    assert wrong.returncode != 0
    assert "the passphrase is wrong" in wrong.stderr
    assert api.request("GET", "/readyz").status_code == 200, "nothing was stopped for it"

    agent = suite.pids("agent")
    restored = make(suite, "restore", file)
    assert restored.returncode == 0, f"{restored.stdout}\n{restored.stderr}\n{suite.logs()}"
    assert suite.pids("agent") == agent, "the agent ran on"
    assert (suite.var / "secrets.env").read_text() == secrets_env

    soon(lambda: _online(api), message="the agent is back")
    after = asyncio.run(contents(suite.database_url))
    different = {name for name in before if before[name] != after[name]}
    assert {name for name in different if not name.startswith(LIVELY)} == set()
    assert len([name for name in before if before[name] and not name.startswith(LIVELY)]) > 12, "there was something"
    assert api.call("GET", f"/v1/secrets/{api.grid}/CHANGED")["value"] == "value-of-before-the-backup"
    assert api.request("GET", f"/v1/secrets/{api.grid}/LATER").status_code == 404
    assert api.request("GET", f"/v1/services/{younger}").status_code == 404
    soon(lambda: (docker.all(younger), volumes(docker, "younger")) == ([], []), message="as the guide warns")
    assert len(volumes(docker, "kept")) == 2
    # What the agent says arrives, and a new deploy goes through.
    api.deploy(service)
    assert docker.running(service) == untouched
    assert [path for path in os.listdir(suite.var) if path.startswith("postgres.before-")] != []


def volumes(docker: Docker, service: str) -> list[str]:
    """Names of the volumes with data of a service."""
    return docker.command("volume", "ls", "-q", "--filter", f"label=io.kontena.service.name={service}").split()


def _online(api: Api) -> bool:
    nodes = api.call("GET", f"/v1/grids/{api.grid}/nodes")["nodes"]
    return [node["status"] for node in nodes if node["name"] == "local-node"] == ["online"]
