"""A real browser that knows no name but loopback."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

_CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
_FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage",
    # Every name but loopback is unknown: the page has to do without.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]  # fmt: skip


def rendered(url: str, profile: Path) -> tuple[str, str]:
    """The document after scripts ran, and what the browser had to say. Skips the test where there is no browser."""
    if _CHROMIUM is None:
        if os.environ.get("KONTENA_REQUIRE_DOCKER"):
            pytest.fail("chromium is not installed")
        pytest.skip("chromium is not installed")
    words = [*_FLAGS, f"--user-data-dir={profile}", "--enable-logging=stderr", "--v=0", "--virtual-time-budget=15000"]
    done = subprocess.run(
        [_CHROMIUM, *words, "--dump-dom", url], capture_output=True, text=True, timeout=240, check=True
    )
    said = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return done.stdout, "\n".join(line for line in said if '"Warning: ' not in line)
