"""The processes of the local suite: command and environment of each."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from agent.settings import AgentSettings
from deploy.backup.installation import SERVICE_SETTINGS
from deploy.backup.settings import BackupSettings
from deploy.local import postgres
from deploy.local.given import given
from deploy.local.settings import ROOT, SERVICES, LocalSettings, load_secrets
from gateway.exec_bridge.settings import ExecBridgeSettings
from gateway.settings import GatewaySettings

# All of it is on loopback, in plain text; the commands of this machine ask the processes there.
_NOT_HERE = ("MTLS_FOLDER", "HEALTH_ADDRESS")
_ENVOY_FLAGS = ("--concurrency", "2")


@dataclass(frozen=True, slots=True)
class Process:
    """One supervised process. `env` is complete: nothing else is inherited."""

    name: str
    command: tuple[str, ...]
    env: dict[str, str]

    @property
    def is_ours(self) -> bool:
        """Whether it takes the signals of services/kernel/logs.py."""
        return self.name not in ("postgres", "gateway")


def suite(settings: LocalSettings) -> list[Process]:
    """All processes, in the order in which they start: Postgres unless it is the operator's own, ..., the agent."""
    secrets = load_secrets(settings)
    python = sys.executable
    services = [
        Process(f"{name}_svc", (python, "-m", f"services.{name}_svc"), service_env(settings, secrets, name))
        for name in SERVICES
    ]
    deploy_env = service_env(settings, secrets, "deploy")
    engine = Process("engine", (python, "-m", "services.deploy_svc", "engine"), deploy_env)
    return [
        *_embedded_postgres(settings),
        *services,
        engine,
        Process("exec_bridge", (python, "-m", "gateway.exec_bridge"), exec_bridge_env(settings)),
        *_backups(settings, secrets),
        Process("gateway", (python, "-m", "gateway.envoy", str(envoy_config(settings)), *_ENVOY_FLAGS), _base_env()),
        Process("agent", (python, "-m", "agent"), agent_env(settings, secrets)),
    ]


def service_env(settings: LocalSettings, secrets: dict[str, str], name: str) -> dict[str, str]:
    """Environment of a service."""
    env = {
        **_base_env(),
        f"{name.upper()}_DATABASE_URL": service_database_url(settings, name),
        "CLUSTER_SECRET": secrets["CLUSTER_SECRET"],
        "LISTEN_ADDRESS": settings.address(name),
        "METRICS_ADDRESS": settings.metrics_address(name),
        "METRICS_TOKEN": secrets["METRICS_TOKEN"],
        **{f"{other.upper()}_ADDRESS": settings.address(other) for other in SERVICES},
    }
    if name == "deploy":
        # Its engine is a process of its own here.
        env["DEPLOY_ROLE"] = "api"
        env["ENGINE_METRICS_ADDRESS"] = settings.metrics_address("engine")
    keys = {"auth": ("INITIAL_ADMIN_CODE", "VAULT_KEY"), "grid": ("VAULT_KEY",), "vault": ("VAULT_KEY",)}.get(name, ())
    env |= {key: secrets[key] for key in keys}
    # All of it is stopped before a new release starts, so nobody is left that knows one key only.
    default = {"SEPARATE_TOKEN_KEYS": "true"}
    if name == "grid":
        # Nodes on other machines need the address at which they see this one.
        default["MASTER_URL"] = settings.url
    return {**default, **given(SERVICE_SETTINGS[name], (*env, *_NOT_HERE)), **env}


def admin_env(settings: LocalSettings, secrets: dict[str, str]) -> dict[str, str]:
    """Environment of operators' commands: what any service has, and all keys of this installation."""
    services = [service_env(settings, secrets, name) for name in SERVICES]
    merged = {name: value for env in services for name, value in env.items()}
    merged["METRICS_ADDRESS"] = settings.metrics_address("backup")
    return {**merged, **secrets, **given(BackupSettings, merged)}


def gateway_env(settings: LocalSettings) -> dict[str, str]:
    """Environment in which the gateway's configuration is rendered."""
    upstreams = {f"GATEWAY_{name.upper()}_ADDRESSES": settings.address(name) for name in SERVICES}
    env = {
        **_base_env(),
        "GATEWAY_PORT": str(settings.port),
        "GATEWAY_ADMIN_SOCKET": str(settings.admin_socket),
        "GATEWAY_METRICS_TOKEN": load_secrets(settings)["METRICS_TOKEN"],
        "GATEWAY_METRICS_ADDRESS": settings.metrics_address("gateway"),
        "GATEWAY_ACCESS_LOG_PATH": "/dev/stdout",
        "GATEWAY_EXEC_ADDRESSES": settings.exec_bridge_address,
        **upstreams,
    }
    # The agent and the commands of this machine speak plain text to it.
    own = (*env, "GATEWAY_TLS_CERT_FILE", "GATEWAY_TLS_KEY_FILE", "GATEWAY_MTLS_FOLDER")
    return {**given(GatewaySettings, own), **env}


def database_url(settings: LocalSettings) -> str:
    """The database of this installation."""
    return settings.database_url or postgres.url(settings.var)


def service_database_url(settings: LocalSettings, name: str) -> str:
    """The same for a service: in the embedded Postgres each has a role of its own, in yours what you gave."""
    return settings.database_url or postgres.url(settings.var, f"kontena_{name}")


def _embedded_postgres(settings: LocalSettings) -> list[Process]:
    if settings.database_url:
        return []
    return [Process("postgres", (sys.executable, "-m", "deploy.local.postgres", str(settings.var)), _base_env())]


def _backups(settings: LocalSettings, secrets: dict[str, str]) -> list[Process]:
    """Makes backups by itself where BACKUP_FOLDER is set."""
    env = admin_env(settings, secrets)
    return (
        [Process("backup", (sys.executable, "-m", "deploy.backup", "scheduled"), env)] if "BACKUP_FOLDER" in env else []
    )


def exec_bridge_env(settings: LocalSettings) -> dict[str, str]:
    """Environment of the exec bridge, which holds no secret but that of its metrics."""
    env = {
        **_base_env(),
        "LISTEN_ADDRESS": settings.exec_bridge_address,
        "METRICS_ADDRESS": settings.metrics_address("exec_bridge"),
        "METRICS_TOKEN": load_secrets(settings)["METRICS_TOKEN"],
        "DEPLOY_ADDRESS": settings.address("deploy"),
    }
    return {**given(ExecBridgeSettings, (*env, *_NOT_HERE)), **env}


def agent_env(settings: LocalSettings, secrets: dict[str, str]) -> dict[str, str]:
    """Environment of the node agent."""
    env = {
        **_base_env(),
        "KONTENA_URI": f"127.0.0.1:{settings.port}",
        "KONTENA_GRID_TOKEN_FILE": str(_token_file(settings, secrets["KONTENA_GRID_TOKEN"])),
        "KONTENA_STATE_DIR": str(settings.var / "agent"),
        "KONTENA_RUNTIME": settings.runtime,
        **({"KONTENA_NODE_NAME": settings.node_name} if settings.node_name else {}),
    }
    return {**given(AgentSettings, (*env, "KONTENA_GRID_TOKEN")), **env}


def _token_file(settings: LocalSettings, token: str) -> Path:
    path = settings.var / "grid-token"
    path.touch(mode=0o600)
    path.write_text(token)
    return path


def envoy_config(settings: LocalSettings) -> Path:
    """Where the rendered Envoy configuration lies."""
    return settings.var / "envoy.json"


def _base_env() -> dict[str, str]:
    keep = ("PATH", "HOME", "LANG", "LC_ALL", "TZ")
    return {
        **{name: os.environ[name] for name in keep if name in os.environ},
        "PYTHONPATH": f"{ROOT}:{ROOT / 'gen'}",
        "PYTHONUNBUFFERED": "1",
    }
