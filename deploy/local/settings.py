"""Settings of the local suite: where it keeps its state, and its ports."""

import secrets
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

SERVICES = ("auth", "grid", "deploy", "vault")
WITH_METRICS = (*SERVICES, "gateway", "exec_bridge", "engine", "backup")
ROOT = Path(__file__).resolve().parents[2]


class LocalSettings(BaseSettings):
    """Read from the environment. All ports listen on loopback."""

    model_config = SettingsConfigDict(env_prefix="KONTENA_")

    var: Path = Field(default=ROOT / "var", description="Folder of data, logs, sockets and generated secrets.")
    port: int = Field(default=9292, description="Port of the gateway: REST, gRPC and agents.")
    port_base: int = Field(
        default=7400,
        description="Services listen on base+1..4, the exec bridge on base+5, metrics on base+11..18.",
    )
    database_url: str = Field(default="", description="A Postgres of your own, in place of the embedded one.")
    grid: str = Field(default="local", description="Grid that the local node joins.")
    node_name: str = Field(default="", description="Name of the local node; empty means the host name.")
    runtime: str = Field(default="auto", description="auto, docker or hollow.")

    @property
    def url(self) -> str:
        """Base URL of the REST API."""
        return f"http://127.0.0.1:{self.port}"

    def address(self, service: str) -> str:
        """Where a service listens."""
        return f"127.0.0.1:{self.port_base + 1 + SERVICES.index(service)}"

    @property
    def exec_bridge_address(self) -> str:
        """Where the exec bridge listens."""
        return f"127.0.0.1:{self.port_base + 1 + len(SERVICES)}"

    def metrics_address(self, process: str) -> str:
        """Where a process shows its metrics; `engine` is that of deploy_svc."""
        return f"127.0.0.1:{self.port_base + 11 + WITH_METRICS.index(process)}"

    def log_of(self, process: str) -> Path:
        """What this process says."""
        return self.var / "logs" / f"{process}.log"

    def ports(self) -> list[int]:
        """All ports that the suite listens on."""
        addresses = [*map(self.address, SERVICES), self.exec_bridge_address, *map(self.metrics_address, WITH_METRICS)]
        return [self.port, *(int(address.rpartition(":")[2]) for address in addresses)]

    @property
    def admin_socket(self) -> Path:
        """Socket of Envoy's admin interface."""
        return self.var.absolute() / "envoy-admin.sock"


def load_secrets(settings: LocalSettings) -> dict[str, str]:
    """The secrets of this installation: generated on first use, then kept in `secrets.env`, readable by its owner."""
    path = settings.var / "secrets.env"
    if not path.exists():
        settings.var.mkdir(parents=True, exist_ok=True)
        names = ("CLUSTER_SECRET", "VAULT_KEY", "INITIAL_ADMIN_CODE", "KONTENA_GRID_TOKEN")
        write_env(path, {name: secrets.token_urlsafe(32) for name in names})
    known = read_env(path)
    if "METRICS_TOKEN" not in known:
        # Installations of earlier releases have none, and it may be made anew; the others may not.
        known["METRICS_TOKEN"] = secrets.token_urlsafe(32)
        write_env(path, known)
    # Prometheus reads it from a file of its own.
    metrics_token = settings.var / "metrics-token"
    if not metrics_token.exists() or metrics_token.read_text() != known["METRICS_TOKEN"]:
        metrics_token.touch(mode=0o600)
        metrics_token.write_text(known["METRICS_TOKEN"])
    return known


def write_env(path: Path, values: dict[str, str]) -> None:
    """Write `NAME=value` lines that a shell can source; only the owner may read the file. Atomic."""
    temporary = path.with_suffix(".tmp")
    temporary.touch(mode=0o600)
    temporary.write_text("".join(f"{name}={value}\n" for name, value in values.items()))
    temporary.replace(path)


def read_env(path: Path) -> dict[str, str]:
    """Read what `write_env` wrote; an absent file is empty."""
    lines = path.read_text().splitlines() if path.exists() else []
    return dict(line.split("=", 1) for line in lines if "=" in line)
