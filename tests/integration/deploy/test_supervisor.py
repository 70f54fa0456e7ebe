"""What keeps the processes of `make up` alive."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import psutil
import pytest

from deploy.local.processes import Process
from deploy.local.supervisor import Supervisor
from tests.support.suite import soon

pytestmark = pytest.mark.slow

NAMES = ("a", "b", "c")
# Its child goes on with the pipes open when it is killed.
SCRIPT = "echo started $$; echo $$ > {folder}/{name}; sleep 20 & wait; echo never"


@pytest.fixture
def folder() -> Iterator[Path]:
    """Short, as there is a socket in it."""
    with tempfile.TemporaryDirectory(prefix="ksup") as folder:
        yield Path(folder)


def test_what_is_killed_starts_again_however_often_and_with_its_log(folder: Path) -> None:
    environment = {"PATH": os.environ["PATH"]}
    supervisor = Supervisor(folder)
    supervisor.start(
        [
            Process(name, ("/bin/sh", "-c", f"'{SCRIPT.format(folder=folder, name=name)}'"), environment)
            for name in NAMES
        ]
    )
    try:
        soon(supervisor.statuses, message="the supervisor answers")
        for name in NAMES:
            supervisor.start_process(name)
        # None has the id 0, which stands for one that did not start yet.
        seen: dict[str, set[int]] = {name: {0} for name in NAMES}
        for _ in range(6):
            for name in NAMES:
                soon(lambda name=name: started(folder, name) not in seen[name], message=f"{name} runs again")
                seen[name].add(started(folder, name))
            for name in NAMES:
                with contextlib.suppress(psutil.NoSuchProcess):
                    psutil.Process(started(folder, name)).kill()
        for name in NAMES:
            told = partial(_tells, folder / "logs" / f"{name}.log", seen[name] - {0})
            soon(told, message=f"all starts of {name} are in its log")
    finally:
        supervisor.stop()


def _tells(log: Path, pids: set[int]) -> bool:
    """The supervisor writes down what it is told a moment later."""
    text = log.read_text()
    return all(f"started {pid}\n" in text for pid in pids)


def started(folder: Path, name: str) -> int:
    path = folder / name
    return int(path.read_text()) if path.exists() else 0
