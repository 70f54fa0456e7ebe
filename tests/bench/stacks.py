"""A stack of many services on hollow nodes: what the control plane alone takes."""

import time
from dataclasses import dataclass
from pathlib import Path

from tests.bench.hollow import hollow_nodes
from tests.bench.ours import Ours
from tests.support.suite import soon

_GRID = "wide"


@dataclass(frozen=True)
class StackTimes:
    """Seconds of a deploy of all services, and of one that finds nothing changed."""

    services: int
    nodes: int
    deployed: float
    unchanged: float


def stack(ours: Ours, services: int, nodes: int, folder: Path) -> StackTimes:
    """Deploy it twice; it stays. Services have no links, so none has to wait for another."""
    with hollow_nodes(ours, _GRID, nodes, folder):
        documents = [{"name": f"s-{number}", "image": "bench:1", "stateful": False} for number in range(services)]
        body = {"name": "wide", "stack": "bench/wide", "version": "1", "source": "", "registry": "file://"}
        ours.api.call("POST", f"/v1/grids/{_GRID}/stacks", {**body, "services": documents}, status=201)
        return StackTimes(services, nodes, _deploy(ours), _deploy(ours))


def _deploy(ours: Ours) -> float:
    path = f"/v1/stacks/{_GRID}/wide"
    began = time.perf_counter()
    deploy = ours.api.call("POST", f"{path}/deploy", {})

    def ended() -> bool:
        state = ours.api.call("GET", f"{path}/deploys/{deploy['id']}")["state"]
        if state == "error":
            raise RuntimeError("the stack deploy failed")
        return bool(state == "success")

    soon(ended, within=400, message="the stack deploy ends")
    return time.perf_counter() - began
