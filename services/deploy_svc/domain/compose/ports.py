"""Published ports: short, long, ranges."""

import re
from collections.abc import Mapping
from typing import Any

from services.deploy_svc.domain.compose.project import Project
from services.deploy_svc.domain.compose.table import Attributes
from services.deploy_svc.domain.findings import Place
from services.deploy_svc.domain.readers import scalar_text
from services.deploy_svc.domain.service_elements import is_address

_SHORT = re.compile(
    r"(?:(?:\[(?P<ip6>[0-9A-Fa-f:.]+)\]|(?P<ip>[0-9.]+)):(?=[0-9-]*:))?(?:(?P<published>[0-9-]*):)?"
    r"(?P<target>[0-9-]+)(?:/(?P<protocol>[A-Za-z]+))?",
    re.ASCII,
)
_RANGE = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?", re.ASCII)
_MOST = 1000
_SHOWN = 60
_HOW = "write [ip:][port of the node:]port of the container[/udp]; a range on both sides has the same length"


def ports(place: Place, value: Any, _: Project) -> Attributes:
    """The attribute `ports`."""
    found: list[dict[str, Any]] = []
    for index, item in enumerate(value if isinstance(value, list) else [value]):
        one = place.at(index)
        more = _long(one, item) if isinstance(item, Mapping) else _short(one, scalar_text(item) or "")
        found += [port for port in more if port not in found]
        if len(found) > _MOST:
            place.error(f"A service can publish {_MOST} ports.")
            break
    return {"ports": found}


def _short(place: Place, given: str) -> list[dict[str, Any]]:
    match = _SHORT.fullmatch(given)
    if match is None:
        place.error(f"{given[:_SHOWN]} is no port: {_HOW}.")
        return []
    address = match["ip6"] or match["ip"] or ""
    return _numbered(place, match["published"] or "", match["target"], match["protocol"] or "", address)


def _long(place: Place, given: Mapping[str, Any]) -> list[dict[str, Any]]:
    if (mode := given.get("mode")) not in (None, "host", "ingress"):
        place.at("mode").unsupported(
            f"{str(mode)[:_SHOWN]} is no mode: ports are published on the nodes of the instances."
        )
    parts = [scalar_text(given.get(name, "")) or "" for name in ("published", "target", "protocol", "host_ip")]
    return _numbered(place, parts[0], parts[1], parts[2], parts[3])


def _numbered(place: Place, published: str, target: str, protocol: str, address: str) -> list[dict[str, Any]]:
    inside, outside = _range(target), _range(published) if published else None
    if inside is None or (published and (outside is None or len(outside) != len(inside))):
        place.error(f"{published[:20]}:{target[:20]} is no port or range of ports: {_HOW}.")
        return []
    if protocol.lower() not in ("", "tcp", "udp", "sctp"):
        place.error(f"{protocol[:_SHOWN]} is no protocol of a port: tcp, udp, sctp.")
        return []
    if address and not is_address(address):
        place.error(f"{address[:_SHOWN]} is no address.")
        return []
    more = {**({"ip": address} if address else {}), **({"protocol": protocol.lower()} if protocol else {})}
    # A port of the node that nobody names is one that is free.
    nodes = [0] * len(inside) if outside is None else list(outside)
    return [
        {"node_port": node, "container_port": container, **more} for node, container in zip(nodes, inside, strict=True)
    ]


def _range(given: str) -> range | None:
    match = _RANGE.fullmatch(given)
    if match is None:
        return None
    first, last = int(match[1]), int(match[2] or match[1])
    return range(first, last + 1) if 1 <= first <= last <= 65535 and last - first < _MOST else None
