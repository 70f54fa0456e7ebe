"""A second machine for the running suite: an engine and an agent of its own."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from deploy.local.settings import read_env
from tests.support.containers import Docker
from tests.support.engine import Engine
from tests.support.suite import Api, Suite, soon

NAME = "second-node"
SLEEP = ["sleep", "100000"]


def statuses(api: Api) -> dict[str, str]:
    """What the master says of each node, by name."""
    nodes = api.call("GET", f"/v1/grids/{api.grid}/nodes")["nodes"]
    return {str(node["name"]): str(node["status"]) for node in nodes}


def all_online(api: Api, count: int = 2) -> None:
    """Wait until this many nodes, and no others, are online: earlier tests may have cut them off."""
    soon(lambda: list(statuses(api).values()) == ["online"] * count, within=120, message=f"{count} nodes are online")


@contextmanager
def service(api: Api, name: str, image: str, **changed: Any) -> Iterator[str]:
    """A service that is removed at the end."""
    body = {"name": name, "image": image, "stateful": False, "cmd": SLEEP, "stop_grace_period": "0s", **changed}
    created = str(api.call("POST", f"/v1/grids/{api.grid}/services", body, status=201)["id"])
    try:
        yield created
    finally:
        soon(lambda: api.request("DELETE", f"/v1/services/{created}").status_code in (200, 404))


class SecondNode:
    """`python -m agent` of the suite's tree beside the suite's own, on `engine`. A port may take 3 s to open here."""

    def __init__(self, suite: Suite, api: Api, engine: Engine, folder: Path, image: str) -> None:
        self._suite = suite
        self._image = image
        self._api = api
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.engine = engine
        self.docker = Docker(engine.host)
        self.id = f"{api.grid}/{NAME}"

    def start(self) -> None:
        """Start the agent and wait until the node is online, and gets instances."""
        with (self._folder / "agent.log").open("ab") as log:
            self._process = subprocess.Popen(
                self._agent(), cwd=self._suite.folder, env=self._environment(), stdout=log, stderr=log
            )
        soon(lambda: self.status() == "online", within=120, message=f"the second node is online {self.log()[-2000:]}")
        with service(self._api, "first", self._image, affinity=[f"node=={NAME}"]) as first:
            soon(lambda: self._api.deploy(first), message="the scheduler knows the node")

    @staticmethod
    def _agent() -> list[str]:
        """Not with the suite's interpreter, so that nobody takes this agent for the suite's."""
        return [sys.executable, "-m", "agent"]

    def _environment(self) -> dict[str, str]:
        return {
            **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
            "PYTHONPATH": f"{self._suite.folder}:{self._suite.folder}/gen",
            "KONTENA_URI": f"127.0.0.1:{self._suite.env['KONTENA_PORT']}",
            "KONTENA_GRID_TOKEN": read_env(self._suite.var / "secrets.env")["KONTENA_GRID_TOKEN"],
            "KONTENA_NODE_ID": "SECOND:NODE",
            "KONTENA_NODE_NAME": NAME,
            "KONTENA_STATE_DIR": str(self._folder / "state"),
            "KONTENA_PORT_WAIT_SECONDS": "3",
            "DOCKER_HOST": self.engine.host,
        }

    def kill(self) -> None:
        """kill -9 of the agent."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def status(self) -> str:
        """What the master says of the node."""
        return statuses(self._api).get(NAME, "unknown")

    def leave(self) -> None:
        """The node is gone for good, and so are its network and resolver, which outlive an agent."""
        self.kill()
        command = [*self._agent(), "remove-containers"]
        subprocess.run(command, cwd=self._suite.folder, env=self._environment(), check=True, capture_output=True)
        soon(lambda: self.status() in ("offline", "unknown"), message="the second node is offline")
        self._api.request("DELETE", f"/v1/nodes/{self.id}")

    def log(self) -> str:
        """What its agent has said."""
        path = self._folder / "agent.log"
        return path.read_text() if path.exists() else ""
