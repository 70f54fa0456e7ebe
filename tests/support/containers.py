"""What a Docker Engine says it runs, asked with the docker client as an operator would."""

import json
import os
import subprocess
from dataclasses import dataclass
from typing import Any

from tests.support.suite import soon


@dataclass
class Docker:
    """The docker command line against one engine."""

    host: str

    def command(self, *words: str) -> str:
        """Output of a docker command; fails when the command fails."""
        done = self._run(*words)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def _run(self, *words: str) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, "DOCKER_HOST": self.host}
        return subprocess.run(["docker", *words], check=False, capture_output=True, text=True, env=env)

    def all(self, service: str) -> list[dict[str, Any]]:
        """Containers of a service (`grid/stack/name`), running or not."""
        grid, stack, name = service.split("/")
        labels = {"grid.name": grid, "stack.name": stack, "service.name": name}
        filters = [word for key, value in labels.items() for word in ("--filter", f"label=io.kontena.{key}={value}")]
        ids = self.command("ps", "-aq", "--no-trunc", *filters).split()
        # A container may go away in between: inspect then fails, but still prints the others.
        found: list[dict[str, Any]] = json.loads(self._run("inspect", *ids).stdout) if ids else []
        return found

    def one(self, service: str) -> dict[str, Any]:
        """The only container of a service, once one that it replaced is gone."""
        [found] = soon(lambda: self._alone(service), message=f"{service} has one container")
        return found

    def _alone(self, service: str) -> list[dict[str, Any]]:
        found = self.all(service)
        assert len(found) == 1, [(entry["Name"], entry["State"]["Status"]) for entry in found]
        return found

    def running(self, service: str) -> dict[str, tuple[str, str]]:
        """Id and start time of each running container of a service, by container name."""
        return {
            entry["Name"].lstrip("/"): (entry["Id"], entry["State"]["StartedAt"])
            for entry in self.all(service)
            if entry["State"]["Running"]
        }
