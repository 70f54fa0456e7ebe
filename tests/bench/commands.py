"""What the command line takes: processes of `kctl`, started one after the other."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.suite import Api

_PROGRAM = str(Path(sys.executable).with_name("kctl"))
_COMPLETING = {"_KCTL_COMPLETE": "complete_bash", "COMP_WORDS": "kctl node show ", "COMP_CWORD": "3"}


@dataclass
class Command:
    """One command line. `limit`, `wall` and `cpu` are milliseconds; what the master takes is part of `wall` only."""

    title: str
    words: Sequence[str]
    limit: float
    env: Mapping[str, str] = field(default_factory=dict)
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def run(self, env: Mapping[str, str]) -> None:
        """One measurement more. Nothing is known from before."""
        with tempfile.TemporaryDirectory() as home:
            given = {**env, **self.env, "HOME": home, "XDG_CACHE_HOME": home, "PATH": os.environ["PATH"]}
            began = time.perf_counter()
            process = subprocess.Popen([_PROGRAM, *self.words], env=given, stdout=subprocess.PIPE)
            assert process.stdout is not None
            with process.stdout:
                out = process.stdout.read()
            _, status, used = os.wait4(process.pid, 0)
            self.wall.append(1000 * (time.perf_counter() - began))
            self.cpu.append(1000 * (used.ru_utime + used.ru_stime))
            process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0, self.title
        assert out, f"{self.title}: nothing was printed"


def commands(api: Api, rounds: int) -> list[Command]:
    """Help, a list, and the names of nodes for a shell, in turn."""
    env = {"KONTENA_URL": api.url, "KONTENA_TOKEN": api.token, "KONTENA_GRID": api.grid}
    found = [
        Command("kctl --help", ["--help"], 150),
        Command("kctl ps", ["ps"], 300),
        Command("completion of the name of a node", [], 300, _COMPLETING),
    ]
    for _ in range(rounds):
        for command in found:
            command.run(env)
    return found
