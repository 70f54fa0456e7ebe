"""Which way nodes of a grid reach each other."""

from functools import partial

from tests.network.conftest import Mesh
from tests.support.mesh_node import MeshNode
from tests.support.suite import soon

WIREGUARD = "wireguard"
VXLAN = "vxlan"


def choose(mesh: Mesh, mode: str) -> None:
    """Bring the grid into a mode, and wait until all nodes are in it."""
    trusted, ways = settings(mesh, mode)
    mesh.grid(trusted_subnets=trusted)
    for node, wanted in zip(mesh.nodes, ways, strict=True):
        soon(
            lambda node=node, wanted=wanted: mesh.modes(node) == wanted,
            within=120,
            message=f"{node.name} is told {wanted}",
        )
        soon(partial(_brought_about, node, wanted), within=120, message=f"{node.name} has done {wanted}")


def settings(mesh: Mesh, mode: str) -> tuple[list[str], list[list[str]]]:
    """Trusted subnets and the ways from each node to the others."""
    return {
        WIREGUARD: ([], [[WIREGUARD] * 2] * 3),
        VXLAN: ([mesh.underlay.subnet], [[VXLAN] * 2] * 3),
        "mixed": ([f"{mesh.underlay.prefix}.0/29"], [[VXLAN, WIREGUARD], [VXLAN, WIREGUARD], [WIREGUARD] * 2]),
    }[mode]


def _told(mesh: Mesh, node: MeshNode, wanted: list[str]) -> bool:
    return mesh.modes(node) == wanted


def _brought_about(node: MeshNode, wanted: list[str]) -> bool:
    links = node.inside("ip", "-o", "link")
    return ("kvx-" in links) == (VXLAN in wanted) and ("kwg-" in links) == (WIREGUARD in wanted)
