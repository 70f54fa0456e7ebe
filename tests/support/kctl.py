"""The command line, run as a person or a script runs it, on the running suite."""

import io
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from kontena_ctl.main import run
from tests.support.suite import Api


@dataclass(frozen=True)
class Done:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """What it printed, as JSON."""
        return json.loads(self.out)

    @property
    def lines(self) -> list[str]:
        """What it printed."""
        return self.out.splitlines()


class Kctl:
    """Commands run in this process, which takes a tenth of the time; what needs a terminal starts the program."""

    def __init__(self, api: Api, folder: Path, patch: pytest.MonkeyPatch, capture: pytest.CaptureFixture[str]) -> None:
        self._patch = patch
        self._capture = capture
        self.environment = {
            "KONTENA_URL": api.url,
            "KONTENA_TOKEN": api.token,
            "KONTENA_GRID": api.grid,
            "KONTENA_CTL_CONFIG": str(folder / "contexts.json"),
            "KONTENA_CONFIG": str(folder / "none.json"),
            "XDG_CACHE_HOME": str(folder / "cache"),
        }
        for name, value in self.environment.items():
            patch.setenv(name, value)

    def __call__(self, *words: str, stdin: str = "") -> Done:
        """Run `kctl <words>`; the caller looks at the exit code."""
        self._patch.setattr(sys, "stdin", io.StringIO(stdin))
        self._capture.readouterr()
        code = run(list(words))
        told = self._capture.readouterr()
        return Done(code, told.out, told.err)

    def completed(self, shell: str, words: str) -> str:
        """What a shell is told when the cursor stands behind these words."""
        given = {"COMP_WORDS": words, "COMP_CWORD": str(words.count(" ")), "_TYPER_COMPLETE_ARGS": words}
        fish = {"_TYPER_COMPLETE_FISH_ACTION": "get-args"}
        for name, value in {**given, **fish, "_KCTL_COMPLETE": f"complete_{shell}"}.items():
            self._patch.setenv(name, value)
        with pytest.raises(SystemExit):
            self()
        self._patch.delenv("_KCTL_COMPLETE")
        return self._capture.readouterr().out

    def ok(self, *words: str, stdin: str = "") -> Done:
        """Run it, and expect that it does what was asked."""
        done = self(*words, stdin=stdin)
        assert done.code == 0, done
        return done
