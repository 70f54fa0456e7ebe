"""The Postgres of one machine ends in peace, and comes back after a crash, whatever its process id has become."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from deploy.local import postgres, probes
from tests.support.suite import soon

pytestmark = pytest.mark.slow


@contextmanager
def kept_alive(var: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The process that keeps the server, as the supervisor starts it."""
    keeper = subprocess.Popen([sys.executable, "-m", "deploy.local.postgres", str(var)], stderr=subprocess.DEVNULL)
    try:
        soon(lambda: probes.postgres_answers(postgres.url(var)), message="it answers")
        soon(lambda: minds(keeper.pid, signal.SIGTERM), message="it ends in peace")
        yield keeper
    finally:
        keeper.terminate()
        keeper.wait(60)


def minds(pid: int, number: signal.Signals) -> bool:
    """Whether the process does something about this signal."""
    status = Path(f"/proc/{pid}/status").read_text()
    caught = next(line.split()[1] for line in status.splitlines() if line.startswith("SigCgt:"))
    return bool(int(caught, 16) & 1 << number - 1)


def killed(keeper: subprocess.Popen[bytes], pid_file: Path) -> list[str]:
    """Kill the server and who keeps it; returns the lines of the file that is left behind."""
    server = psutil.Process(int(pid_file.read_text().splitlines()[0]))
    # None starts on data that a child of the one before has open.
    family = [server, *server.children(recursive=True)]
    keeper.kill()
    os.kill(server.pid, signal.SIGKILL)
    _, left = psutil.wait_procs(family, timeout=60)
    assert left == []
    return pid_file.read_text().splitlines(keepends=True)


def test_it_starts_whatever_a_dead_one_left_behind() -> None:
    with tempfile.TemporaryDirectory(prefix="kpg") as folder:
        var = Path(folder)
        pid_file = var / "postgres" / "postmaster.pid"
        with kept_alive(var) as keeper:
            lines = killed(keeper, pid_file)
        # As after a restart of the machine, when ids begin anew.
        pid_file.write_text("".join([f"{os.getpid()}\n", *lines[1:]]))
        with kept_alive(var) as keeper:
            assert int(pid_file.read_text().splitlines()[0]) != os.getpid()
            lines = killed(keeper, pid_file)
        # It was killed while it started: before it wrote anything, or before it was ready.
        for number in (0, 7):
            pid_file.write_text("".join(lines[:number]))
            with kept_alive(var) as keeper:
                lines = killed(keeper, pid_file)


def test_it_outlives_who_keeps_it() -> None:
    with tempfile.TemporaryDirectory(prefix="kpg") as folder:
        var = Path(folder)
        pid_file = var / "postgres" / "postmaster.pid"
        with kept_alive(var) as keeper:
            before = pid_file.read_text().splitlines()[0]
            keeper.kill()
            keeper.wait(60)
        with kept_alive(var):
            assert pid_file.read_text().splitlines()[0] == before
        assert not pid_file.exists()


def test_it_ends_in_peace_and_nobody_else_reads_its_folder() -> None:
    with tempfile.TemporaryDirectory(prefix="kpg") as folder:
        var = Path(folder)
        with kept_alive(var):
            soon(lambda: var.stat().st_mode & 0o067 == 0, message="it is closed once Postgres runs")
        log = (var / "postgres" / "log").read_text()
        assert "database system is shut down" in log
        # A server that is killed has to recover when it starts again.
        assert "abnormal database system shutdown" not in log
