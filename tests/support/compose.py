"""The suite as `deploy/compose.yaml` runs it, on an engine of the tests."""

import os
import secrets
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tests.support import images
from tests.support.ports import free_port
from tests.support.suite import Api, soon

FILE = images.REPOSITORY / "deploy" / "compose.yaml"


@dataclass
class Compose:
    """One compose project. `scale` changes how many of each service run; the others are left alone."""

    host: str
    port: int = field(default_factory=free_port)
    project: str = "kontenatest"
    code: str = field(default_factory=lambda: secrets.token_hex(8))
    counts: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.env = {
            **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
            "DOCKER_HOST": self.host,
            "KONTENA_TAG": images.TAG,
            "POSTGRES_IMAGE": images.POSTGRES,
            "POSTGRES_PASSWORD": secrets.token_hex(16),
            **{f"{name}_DATABASE_PASSWORD": secrets.token_hex(16) for name in ("AUTH", "GRID", "DEPLOY", "VAULT")},
            "CLUSTER_SECRET": secrets.token_hex(32),
            "METRICS_TOKEN": secrets.token_hex(16),
            "VAULT_KEY": secrets.token_hex(32),
            "INITIAL_ADMIN_CODE": self.code,
            "KONTENA_PORT": str(self.port),
        }

    @property
    def url(self) -> str:
        """Where the gateway answers."""
        return f"http://127.0.0.1:{self.port}"

    def command(self, *words: str, timeout: float = 300) -> str:
        """Output of a compose command; fails with what it said."""
        done = subprocess.run(
            ["docker-compose", "-p", self.project, "-f", FILE, *words],
            env=self.env,
            cwd=Path(images.REPOSITORY),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        assert done.returncode == 0, f"{words}: {done.stderr[-3000:]}"
        return done.stdout

    def scale(self, **counts: int) -> None:
        """Bring the project up with so many of each service, and return when the gateway reaches all of them."""
        self.counts |= counts
        words = [word for name, count in self.counts.items() for word in ("--scale", f"{name}={count}")]
        self.command("up", "-d", "--no-recreate", *words)

        def ready() -> bool:
            return httpx.get(f"{self.url}/readyz", timeout=5).status_code == 200 and self._serving()

        soon(ready, within=180, message="every replica serves and the gateway is ready")

    def api(self) -> Api:
        """A client with the token of the first login."""
        answer = httpx.post(
            f"{self.url}/oauth2/token",
            json={"grant_type": "authorization_code", "code": self.code},
            headers={"Accept": "application/json"},
            timeout=30,
        )
        assert answer.status_code == 200, answer.text
        return Api(self.url, answer.json()["access_token"], "boxed")

    def container(self, service: str, number: int = 1) -> str:
        """Name of the container of a service."""
        return f"{self.project}_{service}_{number}"

    def down(self) -> None:
        """Remove everything, data included."""
        self.command("down", "-v", "-t", "5")

    def _serving(self) -> bool:
        """Whether each replica has said that it serves; its health check asks much more seldom."""
        return all(
            '"event": "serving"' in images.logs(self.host, self.container(name, number))
            for name, count in self.counts.items()
            for number in range(1, count + 1)
        )
