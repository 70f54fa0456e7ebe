"""The commands of a README with what they shall print, and a shell to try them in."""

import re
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from tests.support.suite import soon

_INDENT, _PROMPT = "    ", "    $ "
_MARK = "\x1e"
# What only looks may be asked again; the world needs a moment to become what the text says.
_LOOKS = ("curl ", "docker ", "api GET ", "kctl ps", "kctl logs", "kctl exec ", "api POST /v1/containers/")


@dataclass(frozen=True)
class Step:
    """A command as written, and the lines below it."""

    command: str
    output: tuple[str, ...]

    @property
    def looks(self) -> bool:
        """Whether it changes nothing."""
        return self.command.startswith(_LOOKS)


def steps(text: str) -> list[Step]:
    """The commands of the blocks that are indented by four; a command goes on until the shell takes it for whole."""
    found: list[list[str]] = []
    for line in text.splitlines():
        if line.startswith(_PROMPT):
            found.append([line.removeprefix(_PROMPT)])
        elif line.startswith(_INDENT) and found and found[-1][-1] is not _MARK:
            found[-1].append(line.removeprefix(_INDENT))
        elif found and line.strip():
            # Prose ends what belongs to a command.
            found[-1].append(_MARK)
    return [_step([line for line in lines if line is not _MARK]) for lines in found]


def _step(lines: list[str]) -> Step:
    length = next(n for n in range(1, len(lines) + 1) if _whole("\n".join(lines[:n])))
    return Step("\n".join(lines[:length]), tuple(lines[length:]))


def _whole(command: str) -> bool:
    return subprocess.run(["bash", "-n", "-c", command], capture_output=True, check=False).returncode == 0


def alike(expected: tuple[str, ...], printed: list[str]) -> bool:
    """Whether the lines are the same; `...` stands for any lines."""
    pattern = "".join("(?:.*\n)*?" if line == "..." else re.escape(line) + "\n" for line in expected)
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in printed)) is not None


class Shell:
    """`with Shell(folder, env, plain) as shell:`; what is defined in one command is known in the next. `plain` takes
    out of a printed line what differs from machine to machine."""

    def __init__(self, folder: Path, env: Mapping[str, str], plain: Callable[[str], str]) -> None:
        self._plain = plain
        pipe, stdout = subprocess.PIPE, subprocess.STDOUT
        self._bash = subprocess.Popen(
            ["bash"], cwd=folder, env=dict(env), stdin=pipe, stdout=pipe, stderr=stdout, text=True
        )

    def __enter__(self) -> "Shell":
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._bash.kill()
        self._bash.communicate()

    def run(self, command: str) -> list[str]:
        """The lines that a command prints, without empty ones at the end."""
        assert self._bash.stdin is not None
        assert self._bash.stdout is not None
        self._bash.stdin.write(f"{command}\nprintf '\\n{_MARK}\\n'\n")
        self._bash.stdin.flush()
        lines = []
        for line in self._bash.stdout:
            if line == f"{_MARK}\n":
                break
            lines.append(self._plain(line.rstrip("\n")))
        while lines and not lines[-1]:
            lines.pop()
        return lines

    def follow(self, step: Step, command: str) -> None:
        """Run a step; fails when it does not print what it shall."""
        wanted = tuple(map(self._plain, step.output))
        while wanted and not wanted[-1]:
            wanted = wanted[:-1]

        def right() -> bool:
            printed = self.run(command)
            assert alike(wanted, printed), f"{command}\nprints {printed}\ninstead of {list(wanted)}"
            return True

        if step.looks:
            soon(right)
        else:
            right()
