"""Networks. A grid has one, on which every service reaches every other: files that say no more than that are taken."""

from collections.abc import Collection, Mapping
from typing import Any

from services.deploy_svc.domain.compose.project import Project
from services.deploy_svc.domain.compose.table import Attributes, Key, no_effect
from services.deploy_svc.domain.findings import Place

_SHARED = "service:"
_ONE = "A grid has one network, on which its services reach each other by name"

TOP: Mapping[str, Key] = {
    "name": no_effect("nothing: the network is that of the grid"),
    "driver": no_effect("nothing: the network is that of the grid"),
    "attachable": no_effect("nothing"),
    "labels": no_effect("nothing"),
    "external": no_effect("a warning: services of other stacks are reached as SERVICE.STACK.GRID.kontena.local"),
    "internal": Key(f"{_ONE}, and they reach the outside: leave it out."),
    "ipam": Key("Addresses come from the subnet of the grid: leave it out."),
    "driver_opts": Key(f"{_ONE}: leave it out."),
    "enable_ipv4": Key("Containers have an address of IPv4: leave it out."),
    "enable_ipv6": Key("Containers have no address of IPv6: leave it out."),
}


def networks(place: Place, value: Any, _: Project) -> Attributes:
    """What a service says about its networks makes no attribute; what cannot be kept is told."""
    for name, options in value.items() if isinstance(value, Mapping) else ():
        for key, item in options.items() if isinstance(options, Mapping) else ():
            if key == "aliases":
                _aliases(place.at(name).at(key), item)
            elif key != "priority" and not key.startswith("x-"):
                place.at(name).at(key).unsupported(f"{_ONE}; addresses are given to them: leave it out.")
    return {}


def _aliases(place: Place, given: Any) -> None:
    service = place.path.split(".")[1]
    others = [name for name in given if name != service] if isinstance(given, list) else []
    if others:
        place.unsupported(
            f"Services are found by their names: call the service {str(others[0])[:60]}, or use its name."
        )


def check(project: Project, place: Place) -> None:
    """Refuse networks that keep services of the project apart."""
    joined: dict[str, Collection[str]] = {}
    for name, service in project.services.items():
        if not service.get("network_mode"):
            given = service.get("networks")
            joined[name] = list(given) if given else ["default"]
    declared = project.members("networks")
    for name, found in joined.items():
        for network in found:
            if network != "default" and network not in declared:
                place.error(f"The service {name} uses the network {network}, which the top-level `networks` has not.")
    for name, options in declared.items():
        if isinstance(options, Mapping) and options.get("external"):
            place.at(name).warn("Services join the network of the grid; those of other stacks: SERVICE.STACK as name.")
    common = set.intersection(*map(set, joined.values())) if joined else {""}
    if not common:
        place.unsupported(f"{_ONE}: networks cannot keep them apart. Leave out `networks` if that is fine.")


def network_mode(place: Place, value: Any, project: Project) -> Attributes:
    """The attribute `net`; who shares the network of a service starts after it, on its node."""
    given = value if isinstance(value, str) else ""
    if given in ("bridge", "host"):
        return {"net": given}
    if given.startswith("container:"):
        return {"net": given}
    if given.startswith(_SHARED) and (other := given.removeprefix(_SHARED)) in project.services:
        return {"net": f"container:{other}-%s", "links": [{"name": other, "alias": other}]}
    if given.startswith(_SHARED):
        place.error("There is no such service in the file.")
    else:
        place.unsupported(
            "Use bridge, host, service:NAME or container:NAME, or leave it out for the network of the grid."
        )
    return {}
