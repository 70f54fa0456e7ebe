"""Envoy as the one process of a container: configured from the settings, drained before it ends."""

import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import FrameType

from gateway.drain import drain
from gateway.render import write
from gateway.settings import GatewaySettings

_STOP_SECONDS = 10.0


def run(settings: GatewaySettings, folder: Path, *, notice: float, limit: float) -> int:
    """Render the configuration into `folder`, run Envoy with it, and return its exit code.

    SIGTERM and SIGINT drain first, for `notice` to `limit` seconds (gateway/drain.py), so that no request fails while
    others serve; a second signal ends the wait.
    """
    config = folder / "envoy.json"
    write(settings, config)
    process = subprocess.Popen([sys.executable, "-m", "gateway.envoy", str(config), "--concurrency", "2"])  # noqa: S603
    leaving = threading.Event()

    def leave(_number: int, _frame: FrameType | None) -> None:
        if leaving.is_set():
            process.terminate()
            return
        leaving.set()
        threading.Thread(target=_drain_and_stop, args=(settings, process, notice, limit), daemon=True).start()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, leave)
    code = process.wait()
    return 0 if leaving.is_set() else code


def _drain_and_stop(settings: GatewaySettings, process: subprocess.Popen[bytes], notice: float, limit: float) -> None:
    try:
        drain(settings, notice=notice, limit=limit)
    except OSError as error:
        sys.stderr.write(f"gateway: not drained: {error}\n")
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
