"""Runs the process that converts files, a few at a time."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Any

from services.deploy_svc.domain.findings import Finding
from services.deploy_svc.domain.stack_conversion import Outcome
from services.deploy_svc.domain.stack_source import Converted, Source
from services.kernel.errors import RateLimited, ValidationFailed

_PROCESS = "services.deploy_svc.clients.conversion_process"
# Of the processor, start included; and how long that may take on a busy machine.
_CPU_SECONDS, _SECONDS = 6, 40.0
_AT_ONCE, _WAITING = 2, 20
# It needs to find its modules, and must not have what is secret in the environment of this process.
_ENVIRONMENT = ("PATH", "PYTHONPATH", "VIRTUAL_ENV", "LANG", "LC_ALL")


class Converter:
    """Converts in processes of their own, whose time and memory are limited."""

    def __init__(self, cpu_seconds: int = _CPU_SECONDS) -> None:
        self._cpu_seconds = cpu_seconds
        # A thread waits for each process, also when nobody wants its answer any more.
        self._threads = ThreadPoolExecutor(_AT_ONCE, "convert")
        self._waiting = 0

    async def convert(
        self, source: Source, *, kind: str | None, ignore_unsupported: bool, known_secrets: Collection[str]
    ) -> Outcome:
        """What the files become. Raises ValidationFailed when that takes too long, RateLimited when too many wait."""
        given = {
            "source": asdict(source),
            "kind": kind,
            "ignore_unsupported": ignore_unsupported,
            "known_secrets": sorted(known_secrets),
            "cpu_seconds": self._cpu_seconds,
        }
        if self._waiting >= _WAITING:
            raise RateLimited("Too many files are converted at the moment. Try again in a moment.", retry_seconds=2)
        self._waiting += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._threads, _run, json.dumps(given).encode())
        finally:
            self._waiting -= 1


def _run(given: bytes) -> Outcome:
    environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    command = [sys.executable, "-m", _PROCESS]
    try:
        done = subprocess.run(  # noqa: S603 -- our own module.
            command, input=given, capture_output=True, timeout=_SECONDS, env=environment, check=False
        )
    except subprocess.TimeoutExpired:
        raise _too_much() from None
    if done.returncode < 0 or b"MemoryError" in done.stderr:
        raise _too_much()
    if done.returncode:
        raise RuntimeError(f"the conversion ended with status {done.returncode}, in {_place(done.stderr)}")
    return _outcome(done.stdout)


def _place(said: bytes) -> str:
    """Where it failed, without the error itself: that may repeat values of the files."""
    frames = [line.strip() for line in said.decode("utf-8", "replace").splitlines() if line.startswith("  File ")]
    return frames[-1] if frames else "an unknown place"


def _too_much() -> ValidationFailed:
    return ValidationFailed({"files": "The conversion takes too much time or memory: fewer loops, or several stacks."})


def _outcome(answer: bytes) -> Outcome:
    found: dict[str, Any] = json.loads(answer)
    made = found["made"]
    return Outcome(
        None if made is None else Converted(**made),
        found["errors"],
        tuple(Finding(**warning) for warning in found["warnings"]),
        found["asked"],
    )
