"""Agents under test: in this process, or as a process of their own that can be killed."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
from google.protobuf import json_format

from agent.app import run_until
from agent.settings import AgentSettings
from agent.state import without_secrets
from kontena.deploy.v1 import assignment_pb2 as pb

ROOT = Path(__file__).parents[3]


def settings(uri: str, state_dir: Path, **changed: Any) -> AgentSettings:
    fields: dict[str, Any] = {
        "uri": uri,
        "grid_token": "grid-token",
        "node_id": "ENGINE-1",
        "node_name": "node-1",
        "state_dir": state_dir,
        "runtime": "hollow",
    }
    return AgentSettings(**{**fields, **changed})


@asynccontextmanager
async def running_agent(chosen: AgentSettings) -> AsyncIterator[None]:
    """The agent in this process until the block ends."""
    stop = asyncio.Event()
    task = asyncio.create_task(run_until(chosen, stop))
    try:
        yield
    finally:
        stop.set()
        await task


class AgentProcess:
    """`python -m agent` with these environment variables."""

    def __init__(self, log: Path, **variables: str) -> None:
        self._log = log
        self._variables = variables
        self._process: subprocess.Popen[bytes] | None = None

    def handled_restarts(self) -> list[int]:
        """What the agent remembers to have handled, per instance."""
        content = json.loads((Path(self._variables["KONTENA_STATE_DIR"]) / "state.json").read_text())
        return [record["restarts"] for record in content["records"].values()]

    def assign_last(self, assignment: pb.Assignment) -> None:
        """As if this had been the last thing that it heard of the master."""
        path = Path(self._variables["KONTENA_STATE_DIR"]) / "state.json"
        content = json.loads(path.read_text())
        content["assignments"] = [json_format.MessageToDict(without_secrets(assignment))]
        path.write_text(json.dumps(content))

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "agent"], cwd=ROOT, env=self._env(), stdout=log, stderr=log
            )

    def command(self, name: str) -> None:
        """Run a command of the agent's program."""
        subprocess.run([sys.executable, "-m", "agent", name], cwd=ROOT, env=self._env(), check=True)

    def _env(self) -> dict[str, str]:
        inherited = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        return inherited | self._variables

    def kill(self) -> None:
        """kill -9."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def memory(self) -> int:
        """Bytes it has in memory."""
        assert self._process is not None
        return int(psutil.Process(self._process.pid).memory_info().rss)

    def output(self) -> str:
        """What it has logged."""
        return self._log.read_text()
