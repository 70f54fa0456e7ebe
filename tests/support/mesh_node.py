"""A node on a machine of an underlay: a Docker Engine and an agent of the project."""

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.support.containers import Docker
from tests.support.engine import Engine, EngineError
from tests.support.suite import Suite, soon
from tests.support.underlay import Underlay, shell


class MeshNode:
    """Number `number` of an underlay, at the address `host` of it. `close` takes all of it away."""

    def __init__(self, suite: Suite, underlay: Underlay, number: int, host: int, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self._suite, self._underlay, self.folder = suite, underlay, folder
        self._process: subprocess.Popen[bytes] | None = None
        self._env: dict[str, str] = {}
        self.number = number
        self.name = f"node-{number}"
        self.machine = underlay.add_machine(number, host)
        self.engine = Engine(folder, self.machine)
        self.docker = Docker(self.engine.host)

    @property
    def address(self) -> str:
        """Where the other machines reach it."""
        return self._underlay.machines[self.machine]

    def start(self, token: str, **more: str) -> None:
        """Start the agent."""
        self._env = {
            **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
            "PYTHONPATH": f"{self._suite.folder}:{self._suite.folder}/gen",
            "KONTENA_URI": self._underlay.master,
            "KONTENA_PLAIN_TEXT_HOSTS": self._underlay.master.rpartition(":")[0],
            "KONTENA_GRID_TOKEN": token,
            "KONTENA_NODE_ID": f"{self.machine}:MESH",
            "KONTENA_NODE_NAME": self.name,
            "KONTENA_NODE_LABELS": f"n={self.number}",
            "KONTENA_STATE_DIR": str(self.folder / "state"),
            "DOCKER_HOST": self.engine.host,
            **more,
        }
        self.start_again()

    def start_again(self, **more: str) -> None:
        """Start the agent as before, but for these settings."""
        self._env |= more
        with (self.folder / "agent.log").open("ab") as log:
            self._process = subprocess.Popen(
                self._agent(), cwd=self._suite.folder, env=self._env, stdout=log, stderr=log
            )

    def start_until(self, said: str) -> None:
        """Start the agent as before; returns once it has said this."""
        before = self.log().count(said)
        self.start_again()
        soon(lambda: self.log().count(said) > before, message=f"{self.name} says: {said}")

    def command(self, name: str) -> None:
        """Run a command of the agent's program."""
        subprocess.run([*self._agent(), name], cwd=self._suite.folder, env=self._env, check=True, capture_output=True)

    def _agent(self) -> list[str]:
        return ["nsenter", f"--net=/var/run/netns/{self.machine}", sys.executable, "-m", "agent"]

    def kill(self) -> None:
        """kill -9 of the agent."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def forget_endpoints(self) -> None:
        """Take from what its agent remembers all that runs elsewhere: it may have died before it wrote that."""
        file = self.folder / "state" / "network.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | {"endpoints": []}))

    def log(self) -> str:
        """What its agent has said."""
        path = self.folder / "agent.log"
        return path.read_text() if path.exists() else ""

    def inside(self, *words: str, check: bool = True) -> str:
        """Run a program on the machine."""
        return self._underlay.inside(self.machine, *words, check=check)

    def pid_of(self, container: str) -> str:
        """The first process of a container."""
        return str(self.engine.inspect(container)["State"]["Pid"])

    def execute(self, container: str, *words: str, check: bool = True) -> str:
        """Run a program of a container's image in it."""
        return shell("nsenter", "-t", self.pid_of(container), "-n", "-m", "--", *words, check=check)

    def running(self) -> dict[str, tuple[str, str]]:
        """Id and start time of each running container, by name."""
        found: dict[str, tuple[str, str]] = {}
        for container in self.engine.containers():
            # One may go in between.
            with contextlib.suppress(EngineError):
                shown: dict[str, Any] = self.engine.inspect(container["Id"])
                if shown["State"]["Running"]:
                    found[shown["Name"].lstrip("/")] = (shown["Id"], shown["State"]["StartedAt"])
        return found

    def close(self) -> None:
        """The machine is gone."""
        self.kill()
        bridges = re.findall(r"kbr-\w+", self.inside("ip", "-o", "link", check=False))
        self.engine.close()
        for bridge in bridges:
            shutil.rmtree(f"/run/kontena/{bridge}", ignore_errors=True)
        for pid in shell("ip", "netns", "pids", self.machine, check=False).split():
            shell("kill", "-9", pid, check=False)
