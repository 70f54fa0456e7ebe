"""A program in a pseudo terminal: what stands on its screen, keys for it, and how it ends."""

import codecs
import fcntl
import os
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

_PART = re.compile(r"\x1b\[(\??[\d;]*)([A-Za-z])|\x1b[()=>].?|[\x00-\x1f]|[^\x00-\x1f]+")


class Screen:
    """As much of a terminal as our programs and shells use: moves within the screen, and erasing. It does not wrap."""

    def __init__(self) -> None:
        self.lines = [""]
        self._row = self._column = 0
        self._rest = ""

    def feed(self, text: str) -> None:
        """Draw what was written; a sequence that is not complete yet waits for the rest."""
        text = self._rest + text
        started = text.rfind("\x1b")
        complete = started < 0 or re.match(r"\x1b\[\??[\d;]*[A-Za-z]|\x1b[()=>]", text[started:])
        text, self._rest = (text, "") if complete else (text[:started], text[started:])
        for part in _PART.finditer(text):
            if part[2]:
                self._move(part[2], int(part[1].lstrip("?").split(";")[0] or 0))
            else:
                self._write(part[0])

    def _write(self, text: str) -> None:
        if text == "\r":
            self._column = 0
        elif text == "\n":
            self._row += 1
            self.lines += [""] * (self._row + 1 - len(self.lines))
        elif text == "\b":
            self._column = max(self._column - 1, 0)
        elif text >= " ":
            line = self.lines[self._row].ljust(self._column)
            self.lines[self._row] = line[: self._column] + text + line[self._column + len(text) :]
            self._column += len(text)

    def _move(self, command: str, number: int) -> None:
        if command == "A":
            self._row = max(self._row - max(number, 1), 0)
        elif command == "J":
            self.lines = [*self.lines[: self._row], self.lines[self._row][: self._column]]
        elif command == "K":
            kept = "" if number == 2 else self.lines[self._row][: self._column]
            self.lines[self._row] = kept


def _controlled() -> None:
    """Keys such as Ctrl-C reach the program through the terminal that controls it, and mean what they do where people
    are: who starts tests in the background lets them ignore it."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Terminal:
    """Reads what the program writes as a terminal does; the screen is what a person would see."""

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], *, columns: int = 100, lines: int = 30
    ) -> None:
        self._screen = Screen()
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._ours, theirs = os.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self.before = termios.tcgetattr(theirs)
        self._theirs = theirs
        self._process = subprocess.Popen(
            command,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={"TERM": "xterm", **environment},
            start_new_session=True,
            preexec_fn=_controlled,  # noqa: PLW1509 -- nothing else runs in it.
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        os.close(self._theirs)
        os.close(self._ours)

    @property
    def screen(self) -> list[str]:
        """The lines that stand there now, without empty ones at the end."""
        lines = [line.rstrip() for line in self._screen.lines]
        while lines and not lines[-1]:
            lines.pop()
        return lines

    @property
    def modes(self) -> list[object]:
        """How the terminal treats keys and output."""
        return termios.tcgetattr(self._theirs)

    def keys(self, text: str) -> None:
        """Type something."""
        os.write(self._ours, text.encode())

    def shows(self, text: str, within: float = 60.0) -> None:
        """Wait until this stands somewhere on the screen.

        Ask for a prompt with the space at its end: what is typed before that is drawn has the echo of the terminal,
        which stands before the space.
        """
        deadline = time.monotonic() + within
        while not any(text in line for line in self._screen.lines):
            assert time.monotonic() < deadline, f"{text!r} is not shown within {within} s: {self.screen}"
            self._read(0.1)

    def ended(self, within: float = 60.0) -> int:
        """Wait until the program ends; returns its exit code."""
        deadline = time.monotonic() + within
        while self._process.poll() is None:
            assert time.monotonic() < deadline, f"it does not end within {within} s: {self.screen}"
            self._read(0.05)
        while self._read(0.0):
            pass
        return self._process.returncode

    def _read(self, seconds: float) -> bool:
        ready, _, _ = select.select([self._ours], [], [], seconds)
        if ready:
            self._screen.feed(self._decoder.decode(os.read(self._ours, 65536)))
        return bool(ready)
