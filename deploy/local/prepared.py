"""Processes of the suite as forks of one that has loaded what they need (docs/adr/0137): they share that memory, and
are there at once.

Whoever forks may not have used gRPC yet, whose threads begin with its first channel or server.
"""

import asyncio
import gc
import importlib
import logging
import os
import runpy
import signal
import sys
import traceback
from collections.abc import Mapping, Sequence
from functools import cache
from typing import NoReturn

from setproctitle import setproctitle, setthreadtitle

from deploy.local.settings import SERVICES

_LOADED = (*(f"services.{name}_svc.app" for name in SERVICES), "gateway.exec_bridge.server", "agent.app")


@cache
def load() -> None:
    """Import what the processes of the suite run. The garbage collector leaves all of it alone from now on, here and in
    each fork, as it would write to memory that is shared."""
    for name in _LOADED:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()


def become(command: Sequence[str], env: Mapping[str, str]) -> NoReturn:
    """In a fork whose standard streams are in place: be `python -m module arguments` from here on, in this environment
    and with nothing else of the process that forked."""
    status = 1
    try:
        _forget()
        # Before the environment, which is found where the title is written.
        setproctitle(" ".join(command))
        os.environ.clear()
        os.environ.update(env)
        status = _run(*command[2:])
        sys.stdout.flush()
    except BaseException:
        # As Python itself does, whatever it is.
        traceback.print_exc()
    finally:
        # Not through what the other process wanted done at its own end.
        os._exit(status)


def _run(module: str, *arguments: str) -> int:
    setthreadtitle(module.rpartition(".")[2])
    sys.argv = [module, *arguments]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        if ended.code is not None and not isinstance(ended.code, int):
            sys.stderr.write(f"{ended.code}\n")
            return 1
        return ended.code or 0
    return 0


def _forget() -> None:
    """Signals, files, loggers and event loops are those of a Python that has just begun."""
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals():
        if signal.getsignal(number) not in (signal.SIG_DFL, signal.SIG_IGN, None):
            signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_IGN)
    for logger in (logging.root, *map(logging.getLogger, logging.root.manager.loggerDict)):
        logger.handlers.clear()
    asyncio.set_event_loop_policy(None)
    os.closerange(3, max(map(int, os.listdir("/proc/self/fd"))) + 1)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # The streams of a process.
    gc.enable()
