"""`make logs`: follows the logs of all processes, as lines for people or as JSON for machines (FORMAT=json)."""

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

_FOLLOW = ("tail", "--lines=20", "--follow=name", "--retry", "--verbose")
_COLORS = {"debug": "\033[2m", "warning": "\033[33m", "error": "\033[31m", "critical": "\033[31m"}
_RESET = "\033[0m"
_PROBLEMS = ("warning", "error", "critical")
# What has a place of its own in a line for people.
_PLACED = ("timestamp", "time", "service", "level", "event", "logger")


def follow(folder: Path, *, as_json: bool, colored: bool) -> int:
    """Print what the logs in `folder` say until interrupted; 1 when there are none."""
    files = sorted(str(path) for path in folder.glob("*.log"))
    if not files:
        return 1
    # What tail says itself is about files that were put aside; it follows the new ones.
    with subprocess.Popen([*_FOLLOW, *files], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as tail:  # noqa: S603
        assert tail.stdout is not None  # noqa: S101 -- asked for above.
        try:
            for part, line in parts(tail.stdout):
                sys.stdout.write((machine_line(part, line) if as_json else human_line(part, line, colored)) + "\n")
                sys.stdout.flush()
        except (KeyboardInterrupt, BrokenPipeError):
            # Whoever reads may be gone, and Python writes what is left when it ends.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        finally:
            tail.terminate()
    return 0


def last_problem(log: Path) -> str:
    """The last line for people that complains, without its trace; empty when there is none."""
    try:
        lines = log.read_text(errors="replace").splitlines()
    except FileNotFoundError:
        return ""
    levels = ((line, (_fields(line) or {}).get("level")) for line in reversed(lines))
    problem = next((line for line, level in levels if level in _PROBLEMS), "")
    return " ".join(human_line(log.stem, problem, colored=False).splitlines()[0].split()) if problem else ""


def parts(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    """The name of the log and a line of it, from what tail prints for several files."""
    part = ""
    for line in map(str.rstrip, lines):
        if line.startswith("==> ") and line.endswith(" <=="):
            part = Path(line[4:-4]).stem
        elif line:
            yield part, line


def machine_line(part: str, line: str) -> str:
    """One JSON object: the line's own, or with the line as its event, and the name of the process."""
    return json.dumps({"part": part, **(_fields(line) or {"event": line})}, ensure_ascii=False)


def human_line(part: str, line: str, colored: bool) -> str:
    """Time, part, level, words."""
    fields = _fields(line)
    if fields is None:
        return f"{'':12} {part:12} {'':7} {line}"
    level = str(fields.get("level", "info"))
    moment = str(fields.get("timestamp") or fields.get("time") or "")[11:23].rstrip("Z")
    words = _request(fields) if "event" not in fields else _event(fields)
    text = f"{moment:12} {part:12} {level:7} {words}"
    return f"{_COLORS[level]}{text}{_RESET}" if colored and level in _COLORS else text


def _fields(line: str) -> dict[str, Any] | None:
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _event(fields: dict[str, Any]) -> str:
    event, *trace = str(fields["event"]).splitlines() or [""]
    more = [f"{key}={value}" for key, value in fields.items() if key not in _PLACED and key != "exception"]
    trace += str(fields.get("exception", "")).splitlines()
    return "\n".join(["  ".join([event, *more]), *(f"    {line}" for line in trace)])


def _request(fields: dict[str, Any]) -> str:
    """A line of the gateway's access log."""
    shown = [str(fields.get(key)) for key in ("method", "path", "status")]
    rest = [f"{key}={fields[key]}" for key in ("duration_ms", "client", "request_id") if fields.get(key) is not None]
    return "  ".join([" ".join(shown), *rest])
