"""The caller's terminal, tied to a command in a container."""

import codecs
import contextlib
import os
import select
import shutil
import signal
import sys
import termios
import threading
import tty as modes
from collections.abc import Iterator

from kontena_client import KontenaError
from kontena_client.exec import Exec


def attached(running: Exec, *, interactive: bool, tty: bool) -> None:
    """Pass output on as it comes, input and sizes of the terminal when wanted; returns when the command has ended."""
    with contextlib.ExitStack() as stack:
        if tty:
            _follow_size(running)
            if interactive and sys.stdin.isatty():
                stack.enter_context(_raw(sys.stdin.fileno()))
        if interactive:
            stack.enter_context(_input(running))
        for stream, text in running:
            out = sys.stderr if stream == "stderr" else sys.stdout
            out.write(text)
            out.flush()


def _follow_size(running: Exec) -> None:
    def tell(*_: object) -> None:
        with contextlib.suppress(KontenaError):
            size = shutil.get_terminal_size()
            running.resize(size.columns, size.lines)

    tell()
    signal.signal(signal.SIGWINCH, tell)


@contextlib.contextmanager
def _raw(descriptor: int) -> Iterator[None]:
    """Each key goes to the command, Ctrl-C included; afterwards the terminal is as before."""
    before = termios.tcgetattr(descriptor)
    modes.setraw(descriptor)
    try:
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


@contextlib.contextmanager
def _input(running: Exec) -> Iterator[None]:
    stopping, stop = os.pipe()
    thread = threading.Thread(target=_pass_on, args=(running, sys.stdin.fileno(), stopping), daemon=True)
    thread.start()
    try:
        yield
    finally:
        os.write(stop, b".")
        thread.join()
        os.close(stopping)
        os.close(stop)


def _pass_on(running: Exec, descriptor: int, stopping: int) -> None:
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    with contextlib.suppress(KontenaError):
        while True:
            ready, _, _ = select.select([descriptor, stopping], [], [])
            if stopping in ready:
                return
            data = os.read(descriptor, 32 * 1024)
            if not data:
                running.end_input()
                return
            running.write(decoder.decode(data))
