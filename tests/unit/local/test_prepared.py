"""What a fork of the supervisor becomes, by programs that tell what they find."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

# Starts `python -m told ...` as circusd does, from a process with files, signals and loggers of its own.
_SUPERVISOR = """
import asyncio, logging, os, signal, sys
from deploy.local import circusd, prepared
prepared.load = lambda: None
logging.basicConfig(filename=sys.argv[1])
signal.signal(signal.SIGTERM, lambda *_: None)
signal.signal(signal.SIGCHLD, lambda *_: None)
sys.path.insert(0, os.getcwd())

async def main():
    env = {"GIVEN": "yes", "PATH": os.environ["PATH"]}
    command = [sys.executable, "-m", "told", *sys.argv[2:]]
    process = circusd.start(command, env=env, preexec_fn=os.setsid)
    return process.wait(30)

sys.exit(asyncio.run(main()))
"""
_TOLD = """
import asyncio, gc, json, logging, os, signal, sys

async def loop():
    return True

if __name__ == "__main__":
    if sys.argv[1] == "exit":
        sys.exit(int(sys.argv[2]))
    if sys.argv[1] == "words":
        sys.exit("words")
    if sys.argv[1] == "fail":
        raise ValueError("it failed")
    print(json.dumps({
        "arguments": sys.argv[1:],
        "environment": dict(os.environ),
        "files": [fd for fd in range(3, 100) if os.path.exists(f"/proc/self/fd/{fd}")],
        "handled": [name for name in ("SIGTERM", "SIGCHLD") if callable(signal.getsignal(signal.Signals[name]))],
        "pipe": signal.getsignal(signal.SIGPIPE) == signal.SIG_IGN,
        "interrupt": signal.getsignal(signal.SIGINT) == signal.default_int_handler,
        "loggers": len(logging.root.handlers),
        "collects": gc.isenabled(),
        "loop": asyncio.run(loop()),
        "command": open("/proc/self/cmdline").read().strip("\\0"),
        "leader": os.getsid(0) == os.getpid(),
    }))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "told.py").write_text(_TOLD)
    return tmp_path


def started(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", _SUPERVISOR, str(folder / "log"), *arguments]
    path = os.pathsep.join(filter(None, sys.path))
    env = {**os.environ, "PYTHONPATH": path, "ONLY_OF_THE_SUPERVISOR": "yes"}
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=60, check=False)


def test_a_fork_is_what_a_program_of_its_own_would_be(folder: Path) -> None:
    done = started(folder, "a", "b c")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found.pop("environment").keys() - {"LC_CTYPE"} == {"GIVEN", "PATH"}
    assert found == {
        "arguments": ["a", "b c"],
        "files": [],
        "handled": [],
        "pipe": True,
        "interrupt": True,
        "loggers": 0,
        "collects": True,
        "loop": True,
        "command": f"{sys.executable} -m told a b c",
        "leader": True,
    }


@pytest.mark.parametrize(
    ("arguments", "status", "said"), [(("exit", "3"), 3, ""), (("words",), 1, "words"), (("fail",), 1, "it failed")]
)
def test_a_fork_ends_as_a_program_of_its_own_would(
    folder: Path, arguments: tuple[str, ...], status: int, said: str
) -> None:
    done = started(folder, *arguments)
    assert done.returncode == status
    assert said in done.stderr
