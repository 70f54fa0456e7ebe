"""circusd, whose processes are forks of itself (prepared.py), with one fault of it mended: it closes the pipes of a
process that died without telling its event loop.

The next process whose pipe gets the same number could then never be started again. That happens whenever the end of a
pipe has not been read before, as when a child of the dead process still holds the other end.
"""

import os
import select
import sys
from collections.abc import Callable, Sequence
from typing import Any

import circus.arbiter
import circus.process
import psutil
from circus.circusd import main
from circus.watcher import Watcher

from deploy.local import prepared

POSTGRES = "deploy.local.postgres"

_READS, _SIZE = 64, 65_536
_reap = Watcher.reap_process


def reap(watcher: Any, pid: int, status: int | None = None) -> None:
    """Reap a process after its last words have been written and its pipes are out of the event loop."""
    process, redirector = watcher.processes.get(pid), watcher.stream_redirector
    if process is not None and redirector is not None:
        for name, pipe in redirector.get_process_pipes(process):
            _last_words(redirector, process, name, pipe)
        redirector.remove_redirections(process)
    _reap(watcher, pid, status)


def _last_words(redirector: Any, process: Any, name: str, pipe: Any) -> None:
    """Bounded, as a child that goes on could write for ever."""
    if pipe.closed:
        return
    for _ in range(_READS):
        ready, _, _ = select.select([pipe], [], [], 0)
        data = os.read(pipe.fileno(), _SIZE) if ready else b""
        if not data:
            return
        redirector.redirect[name]({"data": data, "pid": process.pid, "name": name})


def start(command: Sequence[str], *, env: dict[str, str], preexec_fn: Callable[[], None], **more: Any) -> psutil.Popen:
    """As Popen, but a module of Python becomes a fork of this process. Postgres does not: it is there before anything
    else is, and while it starts, what all others need is loaded."""
    if list(command[:2]) != [sys.executable, "-m"] or command[2] == POSTGRES:
        process = psutil.Popen(command, env=env, preexec_fn=preexec_fn, **more)
        prepared.load()
        return process
    prepared.load()

    def become() -> None:
        preexec_fn()
        prepared.become(command, env)

    return psutil.Popen(command, env=env, preexec_fn=become, **more)


if __name__ == "__main__":
    circus.process.Popen = start
    # It keeps its command line, by which it is found (supervisor.py).
    circus.arbiter._setproctitle = lambda _title: None
    Watcher.reap_process = reap
    sys.exit(main())
