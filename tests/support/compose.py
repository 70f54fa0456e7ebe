"""The suite as `deploy/compose.yaml` runs it, on an engine of the tests."""

import os
import secrets
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tests.support import images
from tests.support.ports import free_block
from tests.support.suite import Api, soon

FILE = images.REPOSITORY / "deploy" / "compose.yaml"
GATEWAY = "gateway"
# As many gateways as one project may have here.
_GATEWAYS = 2
_PRIMARY, _STANDBY = "postgres", "standby"
_WITH_DATA = ("auth_svc", "grid_svc", "deploy_svc", "vault_svc")


@dataclass
class Compose:
    """One compose project. `scale` changes how many of each service run; the others are left alone."""

    host: str
    port: int = field(default_factory=lambda: free_block(30))
    project: str = "kontenatest"
    code: str = field(default_factory=lambda: secrets.token_hex(8))
    counts: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.env = {
            **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
            "DOCKER_HOST": self.host,
            # For an answer of the engine; a minute unless set, which is no deadline on a machine with a lot to do.
            "COMPOSE_HTTP_TIMEOUT": "600",
            "KONTENA_TAG": images.TAG,
            "POSTGRES_IMAGE": images.POSTGRES,
            "POSTGRES_PASSWORD": secrets.token_hex(16),
            **{f"{name}_DATABASE_PASSWORD": secrets.token_hex(16) for name in ("AUTH", "GRID", "DEPLOY", "VAULT")},
            "CLUSTER_SECRET": secrets.token_hex(32),
            "METRICS_TOKEN": secrets.token_hex(16),
            "VAULT_KEY": secrets.token_hex(32),
            "INITIAL_ADMIN_CODE": self.code,
            "KONTENA_PORT": f"{self.port}-{self.port + _GATEWAYS - 1}",
        }

    @property
    def urls(self) -> list[str]:
        """Where the gateways answer. Which of them has which port is the engine's choice."""
        count = self.counts.get(GATEWAY, 1)
        ports = [images.docker(self.host, "port", self.container(GATEWAY, n + 1), "9292/tcp") for n in range(count)]
        return [f"http://{port}" for port in sorted(ports)]

    def command(self, *words: str, timeout: float = 900) -> str:
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
        """Bring the project up with so many of each service, and return when the gateways reach all of them."""
        words = [word for name, count in counts.items() for word in ("--scale", f"{name}={count}")]
        if not self.counts:
            self.command("up", "-d", *words)
        elif counts:
            # The schemas are there: without this it would migrate each time.
            self.command("up", "-d", "--no-recreate", "--no-deps", *words, *counts)
        self.counts |= counts

        def ready() -> bool:
            return self._serving() and all(
                httpx.get(f"{url}/readyz", timeout=5).status_code == 200 for url in self.urls
            )

        soon(ready, within=600, message="every replica serves and every gateway is ready")

    def apis(self) -> list[Api]:
        """A client for each gateway, all with the token of the first login."""
        urls = self.urls
        answer = httpx.post(
            f"{urls[0]}/oauth2/token",
            json={"grant_type": "authorization_code", "code": self.code},
            headers={"Accept": "application/json"},
            timeout=30,
        )
        assert answer.status_code == 200, answer.text
        return [Api(url, answer.json()["access_token"], "boxed") for url in urls]

    def container(self, service: str, number: int = 1) -> str:
        """Name of the container of a service."""
        return f"{self.project}_{service}_{number}"

    def answered(self, service: str, number: int) -> int:
        """How many calls a replica of a service has answered, probes aside."""
        name = self.container(service, number)
        address = images.docker(
            self.host, "inspect", "-f", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", name
        )
        token = {"authorization": f"Bearer {self.env['METRICS_TOKEN']}"}
        text = httpx.get(f"http://{address}:9100/metrics", headers=token, timeout=10).raise_for_status().text
        samples = (line.rpartition(" ") for line in text.splitlines())
        return sum(int(float(count)) for what, _, count in samples if _answers(what))

    def refusals(self) -> list[str]:
        """What the processes said of requests that they could not answer."""
        names = [self.container(name, n + 1) for name, count in self.counts.items() for n in range(count)]
        return [line for name in names for line in images.logs(self.host, name).splitlines() if '"not now"' in line]

    def start_standby(self) -> None:
        """A second Postgres, without which the first confirms nothing from now on, and services that know both. Before,
        they know one, as a name that nobody has would take from the time that they give to a slow primary."""
        given = ("POSTGRES_USER=kontena", f"POSTGRES_PASSWORD={self.env['POSTGRES_PASSWORD']}", f"PRIMARY={_PRIMARY}")
        variables = [word for one in given for word in ("-e", one)]
        network = ("--network", f"{self.project}_suite", "--network-alias", _STANDBY)
        images.docker(self.host, "run", "-d", "--name", self._standby, *network, *variables, images.POSTGRES)
        primary = self.container(_PRIMARY)
        seen = "select state, sync_state from pg_stat_replication"
        soon(lambda: self._sql(primary, seen) == "streaming|async", message="the standby has what the primary has")
        self._sql(primary, "alter system set synchronous_standby_names = standby")
        self._sql(primary, "select pg_reload_conf()")
        soon(lambda: self._sql(primary, seen) == "streaming|sync", message="the primary waits for the standby")
        self.env["POSTGRES_HOSTS"] = f"{_PRIMARY}:5432,{_STANDBY}:5432"
        words = [word for name in _WITH_DATA for word in ("--scale", f"{name}={self.counts[name]}")]
        self.command("up", "-d", "--no-deps", *words, *_WITH_DATA)
        self.scale()

    def kill_primary(self) -> None:
        """Without time for good-byes; its name is unknown from then on."""
        images.docker(self.host, "kill", self.container(_PRIMARY))

    def promote_standby(self) -> None:
        """From now on it takes writes."""
        self._sql(self._standby, "select pg_promote()")

    @property
    def _standby(self) -> str:
        return f"{self.project}-{_STANDBY}"

    def _sql(self, container: str, statement: str) -> str:
        password = ("-e", f"PGPASSWORD={self.env['POSTGRES_PASSWORD']}")
        psql = ("psql", "-qAt", "-h", "127.0.0.1", "-U", "kontena", "-d", "kontena", "-c", statement)
        return images.docker(self.host, "exec", *password, container, *psql)

    def _serving(self) -> bool:
        """Whether each replica has said that it serves; its health check asks much more seldom."""
        return all(
            '"event": "serving"' in images.logs_since_start(self.host, self.container(name, number))
            for name, count in self.counts.items()
            if name != GATEWAY
            for number in range(1, count + 1)
        )


def _answers(sample: str) -> bool:
    return sample.startswith("grpc_server_handled_total{") and "/grpc.health." not in sample
