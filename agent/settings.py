"""Settings of the agent, from the environment; a wrong one ends the process at start with its name."""

import ipaddress
import os
import socket
import ssl
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from agent.files import DEFAULT_ROOT
from agent.streams.calls import parse_uri

PREFIX = "KONTENA_"
_LONGEST_TOKEN_FILE = 4096


class EngineSettings(BaseSettings):
    """What every command of the agent needs: its folder and its engine."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", populate_by_name=True, env_ignore_empty=True)

    state_dir: Path = Path("/var/lib/kontena-agent")
    docker_host: str = Field(default="unix:///var/run/docker.sock", validation_alias="DOCKER_HOST")
    log_level: str = Field(default="info", validation_alias="LOG_LEVEL")

    files_dir: Path = Field(
        default=DEFAULT_ROOT, description="Files of containers, in memory; the engine must see it at the same path."
    )

    @field_validator("log_level")
    @classmethod
    def _known_level(cls, level: str) -> str:
        if level.lower() not in ("debug", "info", "warning", "error", "critical"):
            raise ValueError("must be debug, info, warning, error or critical")
        return level.lower()

    @property
    def engine_chosen(self) -> bool:
        """Whether somebody said which engine to use, so that none but that one will do."""
        return "docker_host" in self.model_fields_set


class AgentSettings(EngineSettings):
    """What a running agent needs beside. Token values never appear in `repr` or logs."""

    uri: str = Field(default="127.0.0.1:9292", description="The master's gateway.")
    plain_text_hosts: str = Field(
        default="", description="Masters on other machines that are spoken to without TLS, by host, comma separated."
    )
    ca_file: Path | None = Field(default=None, description="Trusted for TLS.")
    grid_token: SecretStr | None = None
    node_token: SecretStr | None = None
    grid_token_file: Path | None = None
    node_token_file: Path | None = None
    node_id: str = Field(default="", description="Empty: kept, or the engine's id.")
    node_name: str = Field(default_factory=socket.gethostname)
    node_labels: str = Field(default="", description="Comma separated.")
    runtime: Literal["auto", "docker", "hollow"] = "auto"
    port_wait_seconds: float = Field(default=300.0, gt=0, description="To open `wait_for_port`.")
    settle_seconds: float = Field(
        default=0.5, ge=0, le=60, description="For which an instance must stay up where no port is waited for."
    )
    drain_seconds: float = Field(
        default=3.0,
        ge=0,
        le=600,
        description="For which a container runs on beside its ready successor (`order: start_first`): names lead to "
        "that one before it stops.",
    )
    image_keep_seconds: float = Field(
        default=3600.0, ge=0, description="How long an image that was pulled stays unused; 0: for ever."
    )
    files_mb: int = Field(
        default=64,
        ge=1,
        le=65536,
        description="Most memory that files of secrets and configs in containers take on this node.",
    )
    log_lines_per_second: float = Field(
        default=1000.0,
        ge=0,
        description="Of one container, of 1 KB, in the long run; what is more is dropped and counted. 0: no limit.",
    )
    log_lines_at_once: float = Field(
        default=100_000.0, ge=1, description="Of one container, before the limit per second counts."
    )
    public_ip: str = ""
    private_ip: str = ""
    network: Literal["auto", "local"] = Field(
        default="auto", description="`local`: containers of this node stay on a bridge of its own."
    )
    wireguard_port: int = Field(default=51820, ge=1, le=65535)
    vxlan_port: int = Field(default=4789, ge=1, le=65535)
    stats_seconds: float = Field(default=60.0, ge=0.1, description="How often containers are measured.")

    @field_validator("ca_file")
    @classmethod
    def _certificates(cls, path: Path | None) -> Path | None:
        # Without this the first sign would be a handshake that fails for a reason that names no file.
        if path is not None:
            try:
                ssl.create_default_context(cafile=path)
            except OSError as error:
                raise ValueError(f"{path} has no PEM certificates to trust: {error.strerror or error}") from error
        return path

    @model_validator(mode="after")
    def _encrypted(self) -> "AgentSettings":
        target, secure = parse_uri(self.uri)
        host = target.rpartition(":")[0].removeprefix("[").removesuffix("]")
        allowed = {name.strip() for name in self.plain_text_hosts.split(",")}
        if not secure and not _is_here(host) and host not in allowed:
            raise ValueError(
                f"KONTENA_URI: {host} is another machine, and tokens and secrets would cross the network readable. Use"
                f" https://{target}, or allow this host with KONTENA_PLAIN_TEXT_HOSTS={host}"
            )
        return self

    @model_validator(mode="after")
    def _some_token(self) -> "AgentSettings":
        self.grid_token = self.grid_token or _read_token("KONTENA_GRID_TOKEN_FILE", self.grid_token_file)
        self.node_token = self.node_token or _read_token("KONTENA_NODE_TOKEN_FILE", self.node_token_file)
        if not self.grid_token and not self.node_token:
            names = "KONTENA_GRID_TOKEN_FILE, KONTENA_NODE_TOKEN_FILE, KONTENA_GRID_TOKEN or KONTENA_NODE_TOKEN"
            raise ValueError(f"set {names}: the agent cannot join a grid without a token")
        return self

    @property
    def labels(self) -> list[str]:
        """Labels for the node, without blanks."""
        return [label.strip() for label in self.node_labels.split(",") if label.strip()]

    @property
    def join_metadata(self) -> tuple[tuple[str, str], ...]:
        """The join tokens as call metadata."""
        tokens = (("kontena-grid-token", self.grid_token), ("kontena-node-token", self.node_token))
        return tuple((key, token.get_secret_value()) for key, token in tokens if token)

    def forget_environment(self) -> None:
        """Take the tokens out of this process's environment, so that nothing started from here inherits them. The
        kernel goes on to show the environment that the process was started with: a token from a file is not in it."""
        for name in ("KONTENA_GRID_TOKEN", "KONTENA_NODE_TOKEN"):
            os.environ.pop(name, None)


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _read_token(setting: str, path: Path | None) -> SecretStr | None:
    """The token in a file, or what comes out of a descriptor (`/dev/fd/3`); None when none is named."""
    if path is None:
        return None
    try:
        with path.open("rb") as file:
            token = file.read(_LONGEST_TOKEN_FILE).decode("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{setting}: no token can be read from {path}: {error.__class__.__name__}") from None
    if not token:
        raise ValueError(f"{setting}: {path} is empty")
    return SecretStr(token)
