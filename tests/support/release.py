"""Source trees of releases, and what runs of them: an installation that is half of one release and half of another."""

import json
import os
import secrets
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import httpx

from deploy.local import probes
from protos.check_breaking import last_release
from tests.support.admin import admin_client
from tests.support.ports import free_block
from tests.support.suite import REPOSITORY, Api, soon

SERVICES = ("auth_svc", "grid_svc", "deploy_svc", "vault_svc")
_EXEC, _GATEWAY, _AGENT = "exec_bridge", "gateway", "agent"
ROLES = (*SERVICES, _EXEC, _GATEWAY)
# docs/operations/upgrade.md
FOUND_SECONDS = 10.0


@dataclass(frozen=True)
class Release:
    """A source tree with its stubs. All releases run with the packages of this one: `slot` keeps their ports apart."""

    folder: Path
    slot: int

    def run(self, *words: str, env: dict[str, str]) -> None:
        """Run a module of this release to its end; fails with what it said."""
        done = subprocess.run(
            self.command(*words), cwd=self.folder, env=self.env | env, capture_output=True, check=False
        )
        assert done.returncode == 0, f"{words}: {done.stderr.decode()[-3000:]}"

    def command(self, *words: str) -> list[str]:
        """Python with a module of this release."""
        return [sys.executable, "-m", *words]

    @property
    def env(self) -> dict[str, str]:
        """What makes Python take the modules of this release."""
        path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
        return {"PATH": path, "HOME": os.environ["HOME"], "PYTHONPATH": f"{self.folder}:{self.folder / 'gen'}"}


THIS = Release(REPOSITORY, 1)


def release_before(folder: Path) -> Release:
    """The last release that CHANGELOG.md names, taken from git into `folder`."""
    commit = last_release((REPOSITORY / "CHANGELOG.md").read_text())
    archive = folder / "release.tar"
    taken = subprocess.run(
        ["git", "archive", "-o", archive, commit], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert taken.returncode == 0, f"this clone lacks the release {commit}, fetch the whole history: {taken.stderr}"
    with tarfile.open(archive) as tar:
        tar.extractall(folder / "tree", filter="data")
    archive.unlink()
    release = Release(folder / "tree", 0)
    release.run("protos.generate", env={})
    return release


@dataclass
class Installation:
    """Processes of both releases on one database; each knows the places of both."""

    folder: Path
    database_url: str
    docker_host: str
    port: int = 0
    _code: str = field(default_factory=lambda: secrets.token_hex(16))
    _running: dict[tuple[str, int], "subprocess.Popen[bytes]"] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._base = free_block(30)
        self.port = self._base + 29
        keys = ("CLUSTER_SECRET", "VAULT_KEY")
        self._shared = {
            "DATABASE_URL": self.database_url,
            "INITIAL_ADMIN_CODE": self._code,
            **{key: secrets.token_hex(32) for key in keys},
            **{f"{role.removesuffix('_svc').upper()}_ADDRESS": self._places(role) for role in SERVICES},
        }

    def migrate(self, release: Release) -> None:
        """All schemas, as the release has them."""
        for service in SERVICES:
            release.run(f"services.{service}", "migrate", env=self._shared | {"LISTEN_ADDRESS": "127.0.0.1:0"})

    def start(self, release: Release, *roles: str) -> None:
        """Start a process of each role, and return when all of them serve."""
        for role in roles:
            if role == _GATEWAY:
                release.run("gateway", "render", str(self._config(release)), env=self._gateway_env(release))
                envoy = str(Path(sys.executable).with_name("envoy"))
                command = [envoy, "-c", str(self._config(release)), "--disable-hot-restart", "--log-level", "warn"]
                self._open(role, release, command, {})
            else:
                module = "gateway.exec_bridge" if role == _EXEC else f"services.{role}"
                here = {"LISTEN_ADDRESS": self._place(role, release.slot)}
                self._open(role, release, release.command(module), self._shared | here)
        for role in roles:
            soon(partial(self._serves, role, release), within=180, message=f"{role} of {release.folder} serves")

    def replace(self, old: Release, new: Release, *roles: str) -> None:
        """As the guide for operators has it: successors first, if they are not there, and once those were ready for a
        while the end of one after the other."""
        self.start(new, *(role for role in roles if (role, new.slot) not in self._running))
        found = time.monotonic() + FOUND_SECONDS
        soon(lambda: time.monotonic() > found)
        for role in roles:
            self.stop(role, old)

    def stop(self, role: str, release: Release) -> None:
        """Let a process end by itself."""
        if role == _GATEWAY:
            release.run("gateway", "drain", "--notice", "0", env=self._gateway_env(release))
        process = self._running.pop((role, release.slot))
        process.terminate()
        process.wait(60)

    def start_agent(self, release: Release, grid_token: str, name: str) -> None:
        """Start the agent of the only node; the state of the one before is its own."""
        env = {
            "KONTENA_URI": f"127.0.0.1:{self.port}",
            "KONTENA_GRID_TOKEN": grid_token,
            "KONTENA_NODE_NAME": name,
            "KONTENA_STATE_DIR": str(self.folder / "agent"),
            "DOCKER_HOST": self.docker_host,
        }
        self._open(_AGENT, release, release.command("agent"), env)

    def api(self, grid: str) -> Api:
        """A client with the token of the first login."""
        body = {"grant_type": "authorization_code", "code": self._code}
        url = f"http://127.0.0.1:{self.port}"
        answer = httpx.post(f"{url}/oauth2/token", json=body, headers={"Accept": "application/json"})
        assert answer.status_code == 200, answer.text
        return Api(url, answer.json()["access_token"], grid)

    def answered(self, request_id: str, release: Release) -> bool:
        """Whether a service of the release answered a request, and not one of the other, nor a gateway itself. Gateways
        write this down some seconds later."""
        lines = soon(partial(self._in_access_logs, request_id), message=f"{request_id} is in an access log")
        upstream = json.loads(lines[0])["upstream"]
        return upstream in {self._place(role, release.slot) for role in SERVICES}

    def _in_access_logs(self, request_id: str) -> list[str]:
        texts = [path.read_text() for path in self.folder.glob(f"{_GATEWAY}-*.log")]
        return [line for text in texts for line in text.splitlines() if f'"{request_id}"' in line]

    def log(self, role: str, release: Release) -> str:
        """The end of what a process said."""
        return self._log(role, release).read_text()[-3000:]

    def end(self) -> None:
        """Stop everything."""
        for process in reversed(list(self._running.values())):
            process.terminate()
        for process in self._running.values():
            process.wait(60)

    def _open(self, role: str, release: Release, command: list[str], env: dict[str, str]) -> None:
        with self._log(role, release).open("ab") as log:
            process = subprocess.Popen(command, cwd=release.folder, env=release.env | env, stdout=log, stderr=log)
        self._running[role, release.slot] = process

    def _serves(self, role: str, release: Release) -> bool:
        if role == _GATEWAY:
            found = self._envoy_is_live(release) and probes.http_status(f"http://127.0.0.1:{self.port}/readyz") == 200
        elif role == _EXEC:
            found = probes.http_status(f"http://{self._place(role, release.slot)}/healthz") == 200
        else:
            found = probes.service_serves(self._place(role, release.slot))
        assert found, self.log(role, release)
        return True

    def _envoy_is_live(self, release: Release) -> bool:
        """Both gateways have one port, so each is asked by its admin interface, which was a port up to 1.5."""
        socket = self._admin_socket(release)
        if not socket.exists():
            return probes.http_status(f"http://127.0.0.1:{self._admin(release)}/ready") == 200
        with admin_client(socket) as client:
            return client.get("/ready").status_code == 200

    def _gateway_env(self, release: Release) -> dict[str, str]:
        addresses = {f"GATEWAY_{role.removesuffix('_svc').upper()}_ADDRESSES": self._places(role) for role in SERVICES}
        return {
            **addresses,
            "GATEWAY_EXEC_ADDRESSES": self._places(_EXEC),
            "GATEWAY_PORT": str(self.port),
            "GATEWAY_ADMIN_PORT": str(self._admin(release)),
            "GATEWAY_ADMIN_SOCKET": str(self._admin_socket(release)),
            "GATEWAY_RATE_LIMIT_REQUESTS": "0",
        }

    def _config(self, release: Release) -> Path:
        folder = self.folder / f"gateway-{release.slot}"
        folder.mkdir(exist_ok=True)
        return folder / "envoy.json"

    def _admin_socket(self, release: Release) -> Path:
        return self._config(release).with_name("admin.sock")

    def _admin(self, release: Release) -> int:
        return self._base + 20 + release.slot

    def _log(self, role: str, release: Release) -> Path:
        return self.folder / f"{role}-{release.slot}.log"

    def _places(self, role: str) -> str:
        return ",".join(self._place(role, slot) for slot in (0, 1))

    def _place(self, role: str, slot: int) -> str:
        return f"127.0.0.1:{self._base + 10 * slot + ROLES.index(role)}"


@contextmanager
def installation(folder: Path, database_url: str, docker_host: str) -> Iterator[Installation]:
    """One that ends with the block."""
    found = Installation(folder, database_url, docker_host)
    try:
        yield found
    finally:
        found.end()
