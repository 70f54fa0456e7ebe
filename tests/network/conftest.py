"""Three nodes on machines of their own: a grid whose containers reach each other over the network between them."""

import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest

from tests.support.mesh_node import MeshNode
from tests.support.suite import Api, Suite, soon
from tests.support.underlay import Underlay

# Nobody listens at this registry, so a pull ends at once: from these machines no server of names is reached, and each
# look-up would take the engine 20 s.
IMAGE = "127.0.0.1:1/network-test:1"
GRID = "mesh"
SOAK = bool(os.environ.get("KONTENA_SOAK"))
# What a container that reads from another one may take, connections and names included. Only a machine that does
# nothing else (`make soak`) tells how long that is; beside other tests, it is about whether it is read at all.
AT_ONCE = 2.0 if SOAK else 20.0
# Between two requests of a client that asks all the time; without, it takes a core from what runs beside it.
PAUSE = 0 if SOAK else 0.2
# How long a container runs on beside its successor: until a test that watches has ended, however slow the machine is.
LONG_DRAIN = 600
# The first two lie in one /29, the third does not.
HOSTS = (2, 3, 9)
BIG = 1 << 20
# More than what the buffers of a connection hold.
HUGE = 48 << 20
SERVE = (
    "mkdir -p /www; echo plain-$HOSTNAME > /www/index.html; touch /www/healthy; "
    f"truncate -s {BIG} /www/big; truncate -s {HUGE} /www/huge; exec httpd -f -p 8080 -h /www"
)
# Each one resolves the name anew. How many there were, and how many failed.
REQUESTS = (
    "made=0; failed=0; while [ ! -e /www/enough-{name} ]; do made=$((made+1)); "
    f"/usr/bin/curl -fsS -m {{seconds}} -o /dev/null http://{{name}}.{GRID}.kontena.local:8080/ "
    f"|| failed=$((failed+1)); sleep {PAUSE}; done; echo $made $failed"
)


@dataclass
class Mesh:
    """A grid on three nodes. `web` and `db` have an instance on each of them."""

    api: Api
    underlay: Underlay
    nodes: list[MeshNode]
    token: str
    suite: Suite

    def grid(self, **changes: Any) -> None:
        """Change the grid."""
        self.api.call("PUT", f"/v1/grids/{GRID}", changes)

    def serve(self, name: str, **attributes: Any) -> str:
        """A service whose instances answer HTTP with `plain-<hostname>`, deployed; returns its path."""
        body = {
            "name": name,
            "image": IMAGE,
            "stateful": False,
            "cmd": ["sh", "-c", SERVE],
            "strategy": "daemon",
            "stop_grace_period": "2s",
            "deploy_opts": {"wait_for_port": 8080},
            **attributes,
        }
        self.api.call("POST", f"/v1/grids/{GRID}/services", body, status=201)
        path = f"{GRID}/null/{name}"
        self.api.deploy(path)
        return path

    def instance(self, service: str, node: MeshNode) -> str:
        """Name of the instance of a service on a node."""
        return next(name for name in node.running() if name.startswith(f"{service}-"))

    def fetch(self, node: MeshNode, name: str, path: str = "/", seconds: float = AT_ONCE) -> str:
        """What a container on `node` reads from `name`; fails when it reads nothing."""
        url = f"http://{name}.{GRID}.kontena.local:8080{path}"
        return node.execute(self.instance("web", node), "/usr/bin/curl", "-fsS", "-m", str(seconds), url).strip()

    def all_reach_all(self, within: float = 60.0) -> None:
        """Wait until a container of each node reads from the `db` on each node, by name."""
        wanted = {f"plain-{self.instance('db', node)}" for node in self.nodes}
        for node in self.nodes:
            names = [name.removeprefix("plain-") for name in wanted]
            read = partial(self._reads, node, names)
            soon(lambda read=read: read() == wanted, within=within, message=f"{node.name} reaches all")

    def _reads(self, node: MeshNode, names: list[str]) -> set[str]:
        return {self.fetch(node, name, seconds=2.0) for name in names}

    def addresses(self, node: MeshNode, name: str) -> set[str]:
        """What the resolver of a node answers its containers."""
        shown = node.execute(self.instance("web", node), "/bin/nslookup", f"{name}.{GRID}.kontena.local", check=False)
        lines = [line.split()[1] for line in shown.splitlines() if line.startswith("Address:")]
        return {address for address in lines if address.startswith("10.81.")}

    def drain(self, seconds: float) -> None:
        """From now on, containers run on beside their successors for so long; those that do already as well."""
        for node in self.nodes:
            node.kill()
            node.start_again(KONTENA_DRAIN_SECONDS=str(seconds))
        for node in self.nodes:
            soon(partial(self.online, node), within=120, message=f"{node.name} is online again")

    def former(self) -> list[str]:
        """Names of the containers that run on beside their successors."""
        return [name for node in self.nodes for name in node.running() if name.endswith(".former")]

    def most_stopped(self, service: str, since: str) -> int:
        """How many of its containers were not running at once at most, as the engines tell it."""
        moments: list[tuple[int, int]] = []
        label = f"label=io.kontena.service.name={service}"
        for node in self.nodes:
            until = str(time.time())
            told = node.docker.command(
                "events", "--since", since, "--until", until, "--filter", label, "--format", "{{json .}}"
            )
            for event in map(json.loads, told.splitlines()):
                step = {"die": 1, "start": -1}.get(event["Action"], 0)
                moments.append((event["timeNano"], step))
        return max(accumulate(step for _, step in sorted(moments)))

    def health(self, node: MeshNode) -> dict[str, Any]:
        """What the master says of a node's network."""
        found: dict[str, Any] = self.api.call("GET", f"/v1/nodes/{GRID}/{node.name}/health")["network"]
        return found

    def modes(self, node: MeshNode) -> list[str]:
        """How a node reaches the others, by their number."""
        return [peer["mode"] for peer in self.health(node).get("peers", ())]

    def connected(self) -> None:
        """Wait until each node takes part and knows the others."""
        for node in self.nodes:
            soon(partial(self._connected, node), within=120, message=f"{node.name} is connected")

    def _connected(self, node: MeshNode) -> bool:
        health = self.health(node)
        assert (health["state"], health.get("problems", [])) == ("overlay", []), (health, node.log()[-1500:])
        return len(health.get("peers", ())) == len(self.nodes) - 1

    def online(self, node: MeshNode) -> bool:
        """Whether the master calls the node online."""
        nodes = self.api.call("GET", f"/v1/grids/{GRID}/nodes")["nodes"]
        found = {item["name"]: item["status"] for item in nodes}
        assert found.get(node.name) == "online", (found, node.log()[-1500:])
        return True


@pytest.fixture(scope="session")
def mesh(suite: Suite, api: Api) -> Iterator[Mesh]:
    """Three nodes, online and connected, with the services `web` and `db`, which reach each other."""
    grid = api.call("POST", "/v1/grids", {"name": GRID, "initial_size": 1}, status=201)
    with (
        tempfile.TemporaryDirectory(prefix="kmesh") as folder,
        Underlay(int(suite.env["KONTENA_PORT"])) as underlay,
    ):
        nodes = [
            MeshNode(suite, underlay, number, host, Path(folder) / str(number)) for number, host in enumerate(HOSTS, 1)
        ]
        found = Mesh(api, underlay, nodes, grid["token"], suite)
        try:
            with ThreadPoolExecutor() as pool:
                list(pool.map(start_engine, nodes))
            for node in nodes:
                node.start(grid["token"], KONTENA_DRAIN_SECONDS=str(LONG_DRAIN))
                soon(partial(found.online, node), within=180, message=f"{node.name} is online")
            found.connected()
            for name in ("web", "db"):
                found.serve(name)
            # A deploy ends before each node has heard of each name, and tests take agents away at once.
            found.all_reach_all()
            yield found
        finally:
            for node in nodes:
                node.close()


def start_engine(node: MeshNode) -> None:
    """Start the engine of a node, with the image that all services here have."""
    # Containers outlive the engine's process, as on machines that are kept for long.
    node.engine.flags = ("--live-restore",)
    node.engine.__enter__()
    node.engine.import_busybox(IMAGE, programs=["/usr/bin/curl"])


def longest_gap(reads: Callable[[], bool], seconds: float) -> float:
    """For how long at most nothing could be read while `seconds` passed."""
    end, last, longest = time.monotonic() + seconds, time.monotonic(), 0.0
    while time.monotonic() < end:
        if reads():
            last = time.monotonic()
        longest = max(longest, time.monotonic() - last)
    return longest
