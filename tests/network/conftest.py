"""Three nodes on machines of their own: a grid whose containers reach each other over the network between them."""

import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.mesh_node import MeshNode
from tests.support.suite import Api, Suite, soon
from tests.support.underlay import Underlay

IMAGE = "kontena/network-test:1"
GRID = "mesh"


@dataclass
class Mesh:
    """A grid on three nodes."""

    api: Api
    underlay: Underlay
    nodes: list[MeshNode]
    token: str

    def grid(self, **changes: Any) -> dict[str, Any]:
        """Change the grid."""
        return self.api.call("PUT", f"/v1/grids/{GRID}", changes)

    def health(self, node: MeshNode) -> dict[str, Any]:
        """What the master says of a node's network."""
        found: dict[str, Any] = self.api.call("GET", f"/v1/nodes/{GRID}/{node.name}/health")["network"]
        return found

    def modes(self, node: MeshNode) -> dict[str, str]:
        """How a node reaches each other one."""
        return {peer["name"]: peer["mode"] for peer in self.health(node).get("peers", ())}

    def connected(self) -> None:
        """Wait until each node takes part and knows the others."""
        for node in self.nodes:
            soon(
                lambda node=node: (
                    self.health(node)["state"] == "overlay" and len(self.modes(node)) == len(self.nodes) - 1
                ),
                message=f"{node.name} is connected: {node.log()[-1500:]}",
            )


@pytest.fixture(scope="session")
def mesh(suite: Suite, api: Api) -> Iterator[Mesh]:
    """Three nodes, online and connected."""
    grid = api.call("POST", "/v1/grids", {"name": GRID, "initial_size": 1}, status=201)
    with (
        tempfile.TemporaryDirectory(prefix="kmesh") as folder,
        Underlay(int(suite.env["KONTENA_PORT"])) as underlay,
    ):
        nodes = [MeshNode(suite, underlay, number, Path(folder) / str(number)) for number in (1, 2, 3)]
        try:
            with ThreadPoolExecutor() as pool:
                list(pool.map(_start_engine, nodes))
            for node in nodes:
                node.start(grid["token"])
                soon(lambda node=node: _online(api, node), message=f"{node.name} is online: {node.log()[-1500:]}")
            found = Mesh(api, underlay, nodes, grid["token"])
            found.connected()
            yield found
        finally:
            for node in nodes:
                node.close()


def _start_engine(node: MeshNode) -> None:
    node.engine.__enter__()
    node.engine.import_busybox(IMAGE, programs=["/usr/bin/curl"])


def _online(api: Api, node: MeshNode) -> bool:
    nodes = api.call("GET", f"/v1/grids/{GRID}/nodes")["nodes"]
    return {item["name"]: item["status"] for item in nodes}.get(node.name) == "online"
