"""circusd, with one fault of it mended: it closes the pipes of a process that died without telling its event loop.

The next process whose pipe gets the same number could then never be started again. That happens whenever the end of a
pipe has not been read before, as when a child of the dead process still holds the other end.
"""

import os
import select
import sys
from typing import Any

from circus.circusd import main
from circus.watcher import Watcher

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


if __name__ == "__main__":
    Watcher.reap_process = reap
    sys.exit(main())
