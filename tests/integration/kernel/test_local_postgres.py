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

from deploy.local import postgres, probes
from tests.support.suite import soon


@contextmanager
def kept_alive(var: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The process that keeps the server, as the supervisor starts it."""
    keeper = subprocess.Popen([sys.executable, "-m", "deploy.local.postgres", str(var)], stderr=subprocess.DEVNULL)
    try:
        soon(lambda: probes.postgres_answers(postgres.url(var)), message="it answers")
        yield keeper
    finally:
        keeper.terminate()
        keeper.wait(60)


def test_it_starts_when_its_id_belongs_to_somebody_else() -> None:
    with tempfile.TemporaryDirectory(prefix="kpg") as folder:
        var = Path(folder)
        pid_file = var / "postgres" / "postmaster.pid"
        with kept_alive(var) as keeper:
            server = psutil.Process(int(pid_file.read_text().splitlines()[0]))
            # None starts on data that a child of the one before has open.
            family = [server, *server.children(recursive=True)]
            keeper.kill()
            os.kill(server.pid, signal.SIGKILL)
            _, left = psutil.wait_procs(family, timeout=60)
            assert left == []
        _, rest = pid_file.read_text().split("\n", 1)
        # As after a restart of the machine, when ids begin anew.
        pid_file.write_text(f"{os.getpid()}\n{rest}")
        with kept_alive(var):
            assert int(pid_file.read_text().splitlines()[0]) != os.getpid()


def test_it_ends_in_peace_and_nobody_else_reads_its_folder() -> None:
    with tempfile.TemporaryDirectory(prefix="kpg") as folder:
        var = Path(folder)
        with kept_alive(var):
            soon(lambda: var.stat().st_mode & 0o067 == 0, message="it is closed once Postgres runs")
        log = (var / "postgres" / "log").read_text()
        assert "database system is shut down" in log
        # A server that is killed has to recover when it starts again.
        assert "abnormal database system shutdown" not in log
