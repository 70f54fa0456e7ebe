"""Load by wrk: requests one after the other on a number of connections, and how long they took."""

import itertools
import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_SCRIPT = Path(__file__).with_name("wrk.lua")
_runs = itertools.count()


@dataclass(frozen=True)
class Request:
    """What is sent. `%N` in `body` is another word in each request."""

    url: str
    token: str = ""
    method: str = "GET"
    body: str = ""
    content_type: str = "application/json"


@dataclass(frozen=True)
class Load:
    """What came of it; latencies in milliseconds."""

    requests: int
    seconds: float
    p50: float
    p99: float

    @property
    def rate(self) -> float:
        """Answers per second."""
        return self.requests / self.seconds


def load(request: Request, connections: int, seconds: float) -> Load:
    """Send it over and over. Raises AssertionError when any answer is not a success: a fast error is no result."""
    assert shutil.which("wrk"), "wrk is not installed (Debian package wrk)"
    env = {
        "PATH": os.environ["PATH"],
        "BENCH_METHOD": request.method,
        "BENCH_BODY": request.body.encode().hex(),
        "BENCH_TYPE": request.content_type,
        "BENCH_TOKEN": request.token,
        "BENCH_RUN": f"r{os.getpid()}x{next(_runs)}",
    }
    found = _wrk(request.url, env, connections, seconds)
    if not found["requests"]:
        # wrk counts what was answered in time.
        found = _wrk(request.url, env, connections, 10 * seconds)
    assert found["failed"] == 0, f"{found['failed']} of {found['requests']} failed: {request.method} {request.url}"
    assert found["requests"] > 0, f"nothing was answered: {request.method} {request.url}"
    return Load(found["requests"], found["seconds"], found["p50"], found["p99"])


def _wrk(url: str, env: Mapping[str, str], connections: int, seconds: float) -> Any:
    # It takes whole seconds only.
    command = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--timeout", "30s"]
    done = subprocess.run([*command, "-s", str(_SCRIPT), url], env=env, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.strip().splitlines()[-1])
