"""Starts, watches and stops the processes with circus: what dies is started again within a second."""

import configparser
import subprocess
import sys
from pathlib import Path

import psutil
from circus.client import CircusClient
from circus.exc import CallError

from deploy.local.processes import Process
from deploy.local.settings import ROOT

_STOP_SECONDS = 30.0


class Supervisor:
    """The circus arbiter of one `var` folder."""

    def __init__(self, var: Path) -> None:
        self._var = var
        self._pidfile = var / "circus.pid"
        self._endpoint = f"ipc://{var}/circus.sock"

    def is_running(self) -> bool:
        """Whether the arbiter lives."""
        return self._arbiter() is not None

    def start(self, processes: list[Process]) -> None:
        """Start the arbiter in the background; its processes start one after the other."""
        logs = self._var / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        # Also what an older release left open.
        logs.chmod(0o700)
        config = self._write_config(processes)
        command: list[str | Path] = [
            *(sys.executable, "-m", "deploy.local.circusd"),
            "--daemon",
            "--pidfile",
            self._pidfile,
            "--log-output",
            logs / "circus.log",
            config,
        ]
        subprocess.run(command, check=True, cwd=ROOT)  # noqa: S603 -- our own command line.

    def start_process(self, name: str) -> None:
        """Start one process that was not started with the others. A running one is left alone."""
        self._call("start", name=name, waiting=True, match="simple")

    def stop_process(self, name: str) -> None:
        """Stop one process; returns when it has ended."""
        self._call("stop", name=name, waiting=True, match="simple")

    def signal(self, name: str, number: int) -> None:
        """Send a signal to one process; nothing happens when it does not run."""
        self._call("signal", name=name, signum=int(number))

    def statuses(self) -> dict[str, str]:
        """`active` or `stopped` by process name; empty when nothing runs."""
        if not self.is_running():
            return {}
        return dict(self._call("status")["statuses"])

    def stop(self) -> None:
        """Stop everything in reverse order and wait until it is gone."""
        arbiter = self._arbiter()
        if arbiter is None:
            return
        children = arbiter.children(recursive=True)
        try:
            self._call("quit", waiting=True)
        except CallError:
            arbiter.terminate()
        _gone, alive = psutil.wait_procs([arbiter, *children], timeout=_STOP_SECONDS)
        for process in alive:
            process.kill()
        psutil.wait_procs(alive, timeout=5)
        for leftover in (self._pidfile, self._var / "circus.sock"):
            leftover.unlink(missing_ok=True)

    def _arbiter(self) -> psutil.Process | None:
        try:
            process = psutil.Process(int(self._pidfile.read_text()))
            command = " ".join(process.cmdline())
        except (FileNotFoundError, ValueError, psutil.Error):
            return None
        return process if "circusd" in command and str(self._var) in command else None

    def _call(self, command: str, **properties: object) -> dict[str, dict[str, str]]:
        client = CircusClient(timeout=_STOP_SECONDS, endpoint=self._endpoint)
        try:
            answer: dict[str, dict[str, str]] = client.call({"command": command, "properties": properties})
            return answer
        finally:
            client.stop()

    def _write_config(self, processes: list[Process]) -> Path:
        parser = _CaseSensitiveParser()
        parser["circus"] = {
            "endpoint": self._endpoint,
            "pubsub_endpoint": f"ipc://{self._var}/circus-pubsub.sock",
            "check_delay": "0.5",
            "umask": "077",
        }
        for rank, process in enumerate(processes):
            log = str(self._var / "logs" / f"{process.name}.log")
            parser[f"watcher:{process.name}"] = {
                "cmd": process.command[0],
                "args": " ".join(process.command[1:]),
                "working_dir": str(ROOT),
                # The processes that others need start first and stop last.
                "priority": str(100 - rank),
                "max_retry": "-1",
                "graceful_timeout": "12",
                # Except Postgres, which ends its children itself, in an order of its own.
                "stop_children": "true" if process.name != "postgres" else "false",
                "autostart": "false" if process.name != "postgres" else "true",
                **{
                    f"{stream}_stream.{key}": value
                    for stream in ("stdout", "stderr")
                    for key, value in _rotating(log).items()
                },
            }
            parser[f"env:{process.name}"] = {name: value.replace("$", "$$") for name, value in process.env.items()}
        path = self._var / "circus.ini"
        path.touch(mode=0o600)
        with path.open("w") as file:
            parser.write(file)
        return path


class _CaseSensitiveParser(configparser.RawConfigParser):
    """Names of environment variables keep their case."""

    def optionxform(self, optionstr: str) -> str:
        return optionstr


def _rotating(log: str) -> dict[str, str]:
    return {"class": "FileStream", "filename": log, "max_bytes": "10485760", "backup_count": "2"}
