"""Settings of the gateway, from environment variables that start with GATEWAY_."""

import os
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, NamedTuple, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from services.kernel.settings import WHO_READS_METRICS, MetricsToken

# What the kernel takes, without the zero at the end.
_LONGEST_SOCKET = 107
REPOSITORY = Path(__file__).parent.parent


class Endpoint(NamedTuple):
    """One `host:port`; the host may be a DNS name with many addresses."""

    host: str
    port: int


def parse_endpoints(value: object) -> object:
    """`"a:1, [::1]:2"` to endpoints; anything that is not text is left to pydantic. Raises ValueError with the part."""
    if not isinstance(value, str):
        return value
    endpoints = []
    for part in filter(None, (item.strip() for item in value.split(","))):
        host, separator, port = part.rpartition(":")
        host = host.removeprefix("[").removesuffix("]")
        if not separator or not host or not port.isdecimal() or not 0 < int(port) < 65536:
            raise ValueError(f"{part!r} is not host:port")
        endpoints.append(Endpoint(host, int(port)))
    return tuple(endpoints)


def split_list(value: object) -> object:
    """`"a, b"` to `("a", "b")`."""
    return tuple(filter(None, (item.strip() for item in value.split(",")))) if isinstance(value, str) else value


def addresses_only(words: tuple[str, ...]) -> tuple[str, ...]:
    """Raises ValueError with the first word that is no IP address."""
    for word in words:
        try:
            ip_address(word)
        except ValueError:
            raise ValueError(f"{word!r} in GATEWAY_RATE_LIMIT_EXEMPT is no address, such as 10.0.0.1") from None
    return words


def parse_address(value: object) -> object:
    """One `host:port`; empty text is None. Raises ValueError for anything that is not one address."""
    found = parse_endpoints(value)
    if not isinstance(value, str) or not isinstance(found, tuple):
        return value
    if len(found) > 1:
        raise ValueError(f"{value!r} is not one host:port")
    return found[0] if found else None


def short_enough(path: Path) -> Path:
    """Raises ValueError for a path that no unix socket can have."""
    if len(os.fsencode(path.absolute())) > _LONGEST_SOCKET:
        raise ValueError(f"{path} is too long for a unix socket, which has {_LONGEST_SOCKET} bytes at most")
    return path


AnyEndpoints = Annotated[tuple[Endpoint, ...], NoDecode, BeforeValidator(parse_endpoints)]
Endpoints = Annotated[AnyEndpoints, Field(min_length=1)]
OneAddress = Annotated[Endpoint | None, NoDecode, BeforeValidator(parse_address)]
Words = Annotated[tuple[str, ...], NoDecode, BeforeValidator(split_list)]


class GatewaySettings(BaseSettings):
    """Everything the rendered configuration depends on, apart from the protos. README.md lists the variables."""

    model_config = SettingsConfigDict(env_prefix="GATEWAY_", extra="ignore", frozen=True)

    address: str = "127.0.0.1"
    port: int = Field(default=9292, ge=1, le=65535)
    admin_socket: Annotated[Path, AfterValidator(short_enough)] = Field(
        default=Path("/tmp/kontena-gateway/admin.sock"),  # noqa: S108 -- in a folder for its owner only.
        description="Unix socket of Envoy's admin interface.",
    )

    agent_address: OneAddress = Field(
        default=None, description="A second port for agents, with room of its own; they may use the first one as well."
    )
    agent_connection_limit: int = Field(default=5_000, ge=1, description="Connections at a time at that port.")

    metrics_address: OneAddress = Field(default=None, description="Where Prometheus reads; none when empty.")
    metrics_token: MetricsToken = Field(default=None, description=WHO_READS_METRICS)

    traces_address: OneAddress = Field(default=None, description="Collector of traces (OTLP, gRPC); none when empty.")
    traces_percent: float = Field(default=100.0, ge=0, le=100, description="Of the requests that no client traces.")

    auth_addresses: Endpoints = (Endpoint("127.0.0.1", 7401),)
    grid_addresses: Endpoints = (Endpoint("127.0.0.1", 7402),)
    deploy_addresses: Endpoints = (Endpoint("127.0.0.1", 7403),)
    vault_addresses: Endpoints = (Endpoint("127.0.0.1", 7404),)
    exec_addresses: Endpoints = (Endpoint("127.0.0.1", 7405),)

    dns_servers: AnyEndpoints = Field(default=(), description="Asked for names; those of the machine when empty.")
    dns_refresh_seconds: float = Field(default=5.0, ge=0.1)

    tls_cert_file: Path | None = None
    tls_key_file: Path | None = None

    mtls_folder: Path | None = Field(
        default=None, description="Folder with tls.crt, tls.key and ca.crt for TLS towards the parts of the suite."
    )

    body_limit_bytes: int = Field(default=4 * 1024 * 1024, ge=1024, le=1 << 30)
    response_limit_bytes: int = Field(default=64 * 1024 * 1024, ge=1024, le=1 << 30)
    header_limit_kb: int = Field(default=16, ge=1, le=96)
    connection_limit: int = Field(default=10_000, ge=1)
    connections_per_address_burst: int = Field(
        default=1_000, ge=1, description="Connections that one address may open at once at the public port."
    )
    connections_per_address_rate: int = Field(
        default=50, ge=0, description="How many more of them each second in the long run; 0: no limit."
    )
    first_bytes_seconds: float = Field(
        default=5.0,
        gt=0,
        description="A new connection that says nothing for so long ends, TLS included; in plain text where no "
        "connections are counted per address.",
    )
    connection_idle_seconds: float = Field(default=60.0, ge=1, description="A connection without a request ends.")
    trusted_proxies: int = Field(default=0, ge=0, le=16, description="Proxies in front that append X-Forwarded-For.")

    request_timeout_seconds: float = Field(default=30.0, gt=0)
    stream_idle_seconds: int = Field(default=3600, ge=1)
    connect_timeout_seconds: float = Field(default=2.0, gt=0)
    health_check_seconds: float = Field(default=2.0, gt=0)

    cors_origins: Words = Field(default=(), description="Origins of browser applications; `*` is every origin.")

    rate_limit_requests: int = Field(default=60, ge=0, description="Per client address and window; 0 means no limit.")
    join_limit_requests: int = Field(
        default=600, ge=0, description="Sessions that agents may open per client address and window; 0 means no limit."
    )
    rate_limit_seconds: int = Field(default=60, ge=1)
    rate_limit_exempt: Annotated[Words, AfterValidator(addresses_only)] = Field(
        default=("127.0.0.1", "::1"), description="Addresses without a limit of requests or connections."
    )

    access_log_path: str = Field(default="/dev/stdout", description="A file; empty means none.")
    descriptors: Path = REPOSITORY / "gen" / "descriptors.binpb"

    @model_validator(mode="after")
    def _tls_needs_both_files(self) -> Self:
        if (self.tls_cert_file is None) != (self.tls_key_file is None):
            raise ValueError("tls_cert_file and tls_key_file go together")
        return self

    @property
    def tls(self) -> bool:
        """Whether the public port speaks TLS."""
        return self.tls_cert_file is not None and self.tls_key_file is not None

    @property
    def counts_connections(self) -> bool:
        """Whether those of one address are limited. Behind proxies the address of a connection is that of a proxy."""
        return self.connections_per_address_rate > 0 and not self.trusted_proxies

    @property
    def upstreams(self) -> dict[str, tuple[Endpoint, ...]]:
        """Where the services of each package live, by the second word of the package (`kontena.grid.v1`: `grid`)."""
        return {
            "auth": self.auth_addresses,
            "grid": self.grid_addresses,
            "deploy": self.deploy_addresses,
            "vault": self.vault_addresses,
        }
