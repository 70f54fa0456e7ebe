"""What a grid is."""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from services.grid_svc.domain.join_token import StoredToken
from services.grid_svc.domain.network import DEFAULT_NETWORK, Blocks, Ground, Network

# Who may use what reaches past a container to its node: admins of the grid, or all who may change things in it.
HOST_ACCESS = ("admins", "members")
DEFAULT_HOST_ACCESS = "admins"
DEFAULT_SUBNET = "10.81.0.0/16"
DEFAULT_SUPERNET = "10.80.0.0/12"


@dataclass(frozen=True, slots=True)
class Statsd:
    """Where metrics go."""

    server: str
    port: int


@dataclass(frozen=True, slots=True)
class Logs:
    """Where container logs go."""

    forwarder: str
    opts: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Grid:
    """A group of nodes. `token` is the secret with which nodes join, for those who may see it, else empty."""

    id: str
    name: str
    token: str = ""
    stored_token: StoredToken | None = None
    initial_size: int = 1
    subnet: str = DEFAULT_SUBNET
    supernet: str = DEFAULT_SUPERNET
    default_affinity: tuple[str, ...] = ()
    trusted_subnets: tuple[str, ...] = ()
    statsd: Statsd | None = None
    logs: Logs | None = None
    network: Network = DEFAULT_NETWORK
    host_access: str = DEFAULT_HOST_ACCESS
    version: int = 1
    created_at: datetime | None = None
    updated_at: datetime | None = None

    @property
    def etag(self) -> str:
        """Names this version of the attributes; what the grid holds makes no other version."""
        return f"{self.id}-{self.version}"

    @property
    def blocks(self) -> Blocks:
        """Which node gets which addresses for its containers."""
        return Blocks(self.subnet, self.network.node_prefix)

    @property
    def ground(self) -> Ground:
        """What of it decides how its nodes reach each other."""
        return Ground(self.network.mode, self.trusted_subnets)


@dataclass(frozen=True, slots=True)
class GridCounts:
    """What a grid holds; None is not known yet."""

    nodes: int = 0
    services: int | None = 0
    containers: int | None = 0
    users: int | None = 0


def is_subnet(text: str) -> bool:
    """Whether `text` is an IP address or a subnet in CIDR form; host bits may be set."""
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return True


def overlay_ip(subnet: str, node_number: int) -> str:
    """The address of a node in the overlay: base of the subnet OR the node's number, without mask."""
    base = ipaddress.ip_network(subnet, strict=False).network_address
    return str(type(base)(int(base) | node_number))
