"""Source trees of releases, and what runs of them: an installation that is half of one release and half of another."""

import os
import secrets
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from deploy.local import probes
from protos.check_breaking import last_release
from tests.support.ports import free_block
from tests.support.suite import REPOSITORY, Api, soon

SERVICES = ("auth_svc", "grid_svc", "deploy_svc", "vault_svc")
_EXEC, _GATEWAY, _AGENT = "exec_bridge", "gateway", "agent"
ROLES = (*SERVICES, _EXEC, _GATEWAY)


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

    def start(self, role: str, release: Release) -> None:
        """Start a process, and return when it serves."""
        if role == _GATEWAY:
            release.run("gateway", "render", str(self._config(release)), env=self._gateway_env(release))
            envoy = str(Path(sys.executable).with_name("envoy"))
            command = [envoy, "-c", str(self._config(release)), "--disable-hot-restart", "--log-level", "warn"]
            self._open(role, release, command, {})
            soon(lambda: self._ready(release), message="the gateway is ready")
            return
        module = "gateway.exec_bridge" if role == _EXEC else f"services.{role}"
        self._open(
            role, release, release.command(module), self._shared | {"LISTEN_ADDRESS": self._place(role, release.slot)}
        )
        place = self._place(role, release.slot)
        if role == _EXEC:
            soon(lambda: probes.http_status(f"http://{place}/healthz") == 200, message="the exec bridge answers")
        else:
            soon(lambda: probes.service_serves(place), within=120, message=f"{role} serves: {self.log(role, release)}")

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

    def _ready(self, release: Release) -> bool:
        admin = f"http://127.0.0.1:{self._admin(release)}"
        return (
            probes.http_status(f"{admin}/ready") == 200
            and probes.http_status(f"http://127.0.0.1:{self.port}/readyz") == 200
        )

    def _gateway_env(self, release: Release) -> dict[str, str]:
        addresses = {f"GATEWAY_{role.removesuffix('_svc').upper()}_ADDRESSES": self._places(role) for role in SERVICES}
        return {
            **addresses,
            "GATEWAY_EXEC_ADDRESSES": self._places(_EXEC),
            "GATEWAY_PORT": str(self.port),
            "GATEWAY_ADMIN_PORT": str(self._admin(release)),
            "GATEWAY_RATE_LIMIT_REQUESTS": "0",
        }

    def _config(self, release: Release) -> Path:
        folder = self.folder / f"gateway-{release.slot}"
        folder.mkdir(exist_ok=True)
        return folder / "envoy.json"

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
