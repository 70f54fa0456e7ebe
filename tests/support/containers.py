"""What a Docker Engine says it runs."""

import contextlib
import http.client
import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.support.engine import EngineError, ask
from tests.support.suite import soon


@dataclass
class Docker:
    """One engine: the docker command line, as an operator has it, and what is asked often by the API, which takes a
    tenth of the time."""

    host: str

    def command(self, *words: str) -> str:
        """Output of a docker command; fails when the command fails."""
        env = {**os.environ, "DOCKER_HOST": self.host}
        done = subprocess.run(["docker", *words], check=False, capture_output=True, text=True, env=env)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def all(self, service: str) -> list[dict[str, Any]]:
        """Containers of a service (`grid/stack/name`), running or not."""
        grid, stack, name = service.split("/")
        labels = {"grid.name": grid, "stack.name": stack, "service.name": name}
        filters = {"label": [f"io.kontena.{key}={value}" for key, value in labels.items()]}
        try:
            return self._shown(f"/containers/json?all=1&filters={quote(json.dumps(filters))}")
        except (OSError, http.client.HTTPException, EngineError) as error:
            raise AssertionError(f"the engine does not say what it runs: {error!r}") from error

    def _shown(self, listing: str) -> list[dict[str, Any]]:
        socket = Path(self.host.removeprefix("unix://"))
        found: list[dict[str, Any]] = []
        for entry in ask(socket, "GET", listing):
            # A container may go away in between.
            with contextlib.suppress(EngineError):
                found.append(ask(socket, "GET", f"/containers/{entry['Id']}/json"))
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
