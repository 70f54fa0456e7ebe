"""Which names the resolver of a node answers, and with which addresses. Pure."""

import ipaddress
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from agent.domain import dns


# Not frozen, although nobody changes one: that makes them twice as fast, and a large grid has thousands.
@dataclass(slots=True)
class Endpoint:
    """An instance that may be connected to; `lost` says that the master does not hear of its node."""

    instance_id: str
    service: str
    stack: str
    hostname: str
    domainname: str
    exposed: bool
    address: str
    node_id: str
    lost: bool = False


def addresses(endpoints: Iterable[Endpoint], grid: str, subnet: str, node_id: str) -> dict[str, tuple[str, ...]]:
    """The addresses of each name, in a stable order. An instance that does not have an address of the grid's subnet is
    reached on its own node only. Those on nodes that the master does not hear of are answered while there are no
    others: such a node may be gone, or only its agent."""
    network = ipaddress.ip_network(subnet, strict=False)
    present: defaultdict[str, set[str]] = defaultdict(set)
    lost: defaultdict[str, set[str]] = defaultdict(set)
    for endpoint in endpoints:
        if not _reachable(endpoint, network, node_id):
            continue
        # What runs here is here, whatever the master hears.
        away = endpoint.lost and endpoint.node_id != node_id
        for name in names_of(endpoint, grid):
            (lost if away else present)[name].add(endpoint.address)
    return {name: tuple(sorted(present.get(name) or lost[name])) for name in sorted({*present, *lost})}


def names_of(endpoint: Endpoint, grid: str) -> list[str]:
    """All names that lead to an instance."""
    return dns.names(
        hostname=endpoint.hostname,
        service=endpoint.service or endpoint.hostname.rpartition("-")[0],
        domain=endpoint.domainname,
        grid=grid,
        stack=endpoint.stack,
        exposed=endpoint.exposed,
    )


def hosts_file(answers: Mapping[str, tuple[str, ...]]) -> str:
    """The answers as a hosts file."""
    return "".join(f"{address} {name}\n" for name, found in answers.items() for address in found)


def _reachable(endpoint: Endpoint, network: ipaddress.IPv4Network | ipaddress.IPv6Network, node_id: str) -> bool:
    try:
        return ipaddress.ip_address(endpoint.address) in network or endpoint.node_id == node_id
    except ValueError:
        return False
