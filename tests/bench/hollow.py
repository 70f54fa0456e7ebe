"""Hollow nodes: whole agents with real streams, of which only the containers are pretended; many in one process.

`python -m tests.bench.hollow ADDRESS FIRST COUNT FOLDER` runs nodes with the numbers from FIRST on until SIGTERM, with
the grid's token in KONTENA_GRID_TOKEN.
"""

import asyncio
import gc
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvloop

from agent.app import run_until
from agent.settings import AgentSettings
from services.kernel import logs
from tests.bench.ours import Ours
from tests.support.suite import REPOSITORY, soon

_PER_PROCESS = 250
_JOINING_AT_ONCE = 25


async def _run(address: str, first: int, count: int, folder: Path) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    nodes = []
    for number in range(first, first + count):
        settings = AgentSettings(
            uri=address,
            node_id=f"HOLLOW-{number:05d}",
            node_name=f"hollow-{number}",
            state_dir=folder / f"node-{number}",
            runtime="hollow",
            network="local",
            private_ip=f"10.{200 + number // 62500}.{number // 250 % 250}.{number % 250 + 1}",
        )
        nodes.append(asyncio.create_task(run_until(settings, stop)))
        if number % _JOINING_AT_ONCE == 0:
            await asyncio.sleep(0.1)
    await stop.wait()
    await asyncio.gather(*nodes)


@contextmanager
def hollow_nodes(ours: Ours, grid: str, count: int, folder: Path) -> Iterator[None]:
    """So many nodes join the grid, which is made for them; the block begins when all are online."""
    made = ours.api.call("POST", "/v1/grids", {"name": grid, "network": {"node_prefix": 26}}, status=201)
    keep = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    env = {**keep, "KONTENA_GRID_TOKEN": made["token"], "LOG_LEVEL": "error"}
    address = ours.api.url.removeprefix("http://")
    processes = []
    with (folder / f"{grid}.log").open("wb") as log:
        try:
            for first in range(0, count, _PER_PROCESS):
                size = min(_PER_PROCESS, count - first)
                command = [sys.executable, "-m", "tests.bench.hollow", address, str(first), str(size), str(folder)]
                processes.append(subprocess.Popen(command, cwd=REPOSITORY, env=env, stdout=log, stderr=log))

            def joined() -> bool:
                ended = [process.returncode for process in processes if process.poll() is not None]
                # RuntimeError, as `soon` would ask again otherwise.
                if ended:
                    raise RuntimeError(f"hollow nodes ended: {Path(log.name).read_text()[-2000:]}")
                return online(ours, grid) == count

            soon(joined, within=300, message=f"{count} hollow nodes are online")
            yield
        finally:
            for process in processes:
                process.terminate()
            for process in processes:
                try:
                    process.wait(60)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


def online(ours: Ours, grid: str) -> int:
    """How many nodes of the grid are online."""
    nodes = ours.api.call("GET", f"/v1/grids/{grid}/nodes")["nodes"]
    return sum(node["status"] == "online" for node in nodes)


if __name__ == "__main__":
    # As a process of one agent has it: with the objects of hundreds, each full collection would stop them all.
    gc.set_threshold(50_000, 20, 50)
    logs.configure("hollow", os.environ.get("LOG_LEVEL", "error"))
    uvloop.run(_run(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])))
