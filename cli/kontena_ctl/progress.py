"""How people or programs see a deploy go on: on a terminal, as lines, as JSON, or not at all. All of it on stderr."""

import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from enum import StrEnum
from types import TracebackType
from typing import Any, Self

from kontena_ctl.output import Output, coloured
from kontena_ctl.rollout import Rollout, changes

_HEARTBEAT_SECONDS = 10.0


class Progress(StrEnum):
    """`auto` is `tty` where stderr is a terminal, else `plain`."""

    AUTO = "auto"
    TTY = "tty"
    PLAIN = "plain"
    JSON = "json"
    QUIET = "quiet"


class Quiet:
    """Shows nothing. The base of the others."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.close()

    def show(self, rollout: Rollout, note: str = "") -> None:
        """It is like this now; `note` is what was told about it last."""

    def close(self) -> None:
        """Nothing more comes."""


class Plain(Quiet):
    """A line for each change, and a sign of life now and then."""

    def __init__(self, output: Output, clock: Callable[[], float] = time.monotonic) -> None:
        self._output = output
        self._clock = clock
        self._before: Rollout | None = None
        self._said = ""
        self._last = self._began = clock()

    def show(self, rollout: Rollout, note: str = "") -> None:
        """Nothing when nothing changed."""
        lines = list(changes(self._before, rollout))
        if note and note != self._said:
            lines.append(note)
            self._said = note
        now = self._clock()
        if not lines and now - self._last >= _HEARTBEAT_SECONDS:
            lines = [f"still waiting for {rollout.target}, {now - self._began:.0f} s so far"]
        for line in lines:
            self._output.say(line)
            self._last = now
        self._before = rollout


class Json(Quiet):
    """A JSON line for each change."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._before: tuple[Any, ...] = ()

    def show(self, rollout: Rollout, note: str = "") -> None:
        """Nothing when nothing changed."""
        if (rollout, note) != self._before:
            self._before = (rollout, note)
            self._output.say(json.dumps({**asdict(rollout), "note": note}, ensure_ascii=False))


class Terminal(Quiet):
    """One line per service that is kept up to date, and the last reason below."""

    def __init__(self) -> None:
        from rich.console import Console  # noqa: PLC0415 -- only a terminal waits for it.
        from rich.live import Live  # noqa: PLC0415

        console = Console(stderr=True, highlight=False, no_color=not coloured(sys.stderr))
        self._live = Live(console=console, refresh_per_second=8, vertical_overflow="visible")
        self._live.start()

    def show(self, rollout: Rollout, note: str = "") -> None:
        """Draws it anew."""
        from rich.progress_bar import ProgressBar  # noqa: PLC0415
        from rich.table import Table  # noqa: PLC0415
        from rich.text import Text  # noqa: PLC0415

        styles = {"success": "green", "error": "red", "ongoing": "yellow"}
        table = Table.grid(padding=(0, 1))
        for one in rollout.services:
            bar = ProgressBar(total=max(one.wanted, 1), completed=one.done, width=12)
            table.add_row(Text(one.name, style="bold"), bar, Text(one.text, style=styles.get(one.state, "dim")))
        if note:
            table.add_row("", "", Text(note, style="dim"))
        self._live.update(table)

    def close(self) -> None:
        """What was shown last stays on the screen."""
        self._live.stop()


def display(kind: Progress, output: Output) -> Quiet:
    """The display that was asked for."""
    if kind is Progress.AUTO:
        kind = Progress.TTY if sys.stderr.isatty() else Progress.PLAIN
    if kind is Progress.TTY:
        return Terminal()
    if kind is Progress.PLAIN:
        return Plain(output)
    return Json(output) if kind is Progress.JSON else Quiet()
