"""From what is there to what must be there: commands. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from agent.domain.overlay_plan import Neighbour, Overlay, Route, mac_of


@dataclass(frozen=True, slots=True)
class Observed:
    """What the machine has. `links` are interfaces with their MTU, `mapped` the addresses that the VXLAN interface
    sends to, by MAC."""

    links: Mapping[str, int] = field(default_factory=dict)
    addresses: Mapping[str, frozenset[str]] = field(default_factory=dict)
    routes: frozenset[Route] = frozenset()
    neighbours: Mapping[str, str] = field(default_factory=dict)
    mapped: Mapping[str, tuple[str, int]] = field(default_factory=dict)


Command = tuple[str, ...]


def steps(overlay: Overlay, observed: Observed) -> list[Command]:
    """What to run, in order. The WireGuard interface itself is made by others: it may need a program of its own."""
    names = overlay.place.names
    wanted = []
    found: list[Command] = []
    if overlay.encrypted:
        wanted.append(names.wireguard)
        found += _device(overlay, observed, names.wireguard, overlay.wireguard_mtu)
    if overlay.trusted:
        wanted.append(names.vxlan)
        if names.vxlan not in observed.links:
            found.append(_make_vxlan(overlay))
        found += _device(overlay, observed, names.vxlan, overlay.vxlan_mtu)
        found += _neighbours(overlay, observed)
    found += _routes(overlay, observed)
    for device in (names.wireguard, names.vxlan):
        # Last, so that there is a new way before the old one goes.
        if device in observed.links and device not in wanted:
            found.append(("ip", "link", "del", device))
    return found


def _make_vxlan(overlay: Overlay) -> Command:
    place = overlay.place
    vxlan = ("type", "vxlan", "id", str(overlay.vni), "dstport", str(place.vxlan_port), "nolearning")
    return ("ip", "link", "add", place.names.vxlan, "address", mac_of(place.overlay_ip), *vxlan)


def _device(overlay: Overlay, observed: Observed, device: str, mtu: int) -> list[Command]:
    found: list[Command] = []
    address = f"{overlay.place.overlay_ip}/32"
    if address not in observed.addresses.get(device, frozenset()):
        found.append(("ip", "addr", "replace", address, "dev", device))
    if observed.links.get(device) != mtu:
        found.append(("ip", "link", "set", device, "mtu", str(mtu), "up"))
    return found


def _neighbours(overlay: Overlay, observed: Observed) -> list[Command]:
    device = overlay.place.names.vxlan
    wanted = {each.overlay_ip: each for each in overlay.neighbours}
    found: list[Command] = []
    for each in wanted.values():
        if observed.neighbours.get(each.overlay_ip) != each.mac:
            at = ("lladdr", each.mac, "dev", device, "nud", "permanent")
            found.append(("ip", "neigh", "replace", each.overlay_ip, *at))
        # The system does not tell a port that is the interface's own.
        shown = 0 if each.port == overlay.place.vxlan_port else each.port
        if observed.mapped.get(each.mac) != (each.endpoint, shown):
            if each.mac in observed.mapped:
                found.append(_unmap(each.mac, device))
            found.append(_map(each, device))
    macs = {each.mac for each in wanted.values()}
    found += [("ip", "neigh", "del", ip, "dev", device) for ip in observed.neighbours if ip not in wanted]
    found += [_unmap(mac, device) for mac in observed.mapped if mac not in macs]
    return found


def _map(each: Neighbour, device: str) -> Command:
    return ("bridge", "fdb", "append", each.mac, "dev", device, "dst", each.endpoint, "port", str(each.port))


def _unmap(mac: str, device: str) -> Command:
    return ("bridge", "fdb", "del", mac, "dev", device)


def _routes(overlay: Overlay, observed: Observed) -> list[Command]:
    names = overlay.place.names
    ours = {route for route in observed.routes if route.device in (names.wireguard, names.vxlan)}
    wanted = overlay.routes
    kept = {route.destination for route in wanted}
    found = [_route("replace", route, overlay) for route in wanted if route not in ours]
    gone: Sequence[Route] = sorted((route for route in ours - set(wanted)), key=lambda route: route.destination)
    # A route that was replaced is gone already.
    found += [_route("del", route, overlay) for route in gone if route.destination not in kept]
    return found


def _route(verb: str, route: Route, overlay: Overlay) -> Command:
    command: Command = ("ip", "route", verb, route.destination)
    if route.via:
        command += ("via", route.via)
    command += ("dev", route.device)
    if verb == "replace":
        command += ("onlink",) if route.via else ("scope", "link")
        command += ("src", overlay.place.overlay_ip)
    return command
