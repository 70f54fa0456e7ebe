"""The API reference in a real browser that cannot reach anything but the suite."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import httpx
import pytest

from tests.support.suite import Api

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage",
    # Every name but loopback is unknown: the page has to do without.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]  # fmt: skip


@pytest.fixture(scope="module")
def chromium() -> str:
    if CHROMIUM is None:
        if os.environ.get("KONTENA_REQUIRE_DOCKER"):
            pytest.fail("chromium is not installed")
        pytest.skip("chromium is not installed")
    return CHROMIUM


def rendered(chromium: str, url: str, profile: Path) -> tuple[str, str]:
    """The document after scripts ran, and what the browser had to say."""
    words = [*FLAGS, f"--user-data-dir={profile}", "--enable-logging=stderr", "--v=0", "--virtual-time-budget=15000"]
    done = subprocess.run([chromium, *words, "--dump-dom", url], capture_output=True, text=True, timeout=90, check=True)
    said = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return done.stdout, "\n".join(line for line in said if '"Warning: ' not in line)


def test_the_page_shows_every_operation_offline(api: Api, chromium: str, tmp_path: Path) -> None:
    page, console = rendered(chromium, f"{api.url}/docs", tmp_path)
    assert console == ""
    assert 'class="title">Kontena Master' in page
    tags = [tag["name"] for tag in api.call("GET", "/openapi.json")["tags"]]
    shown = re.findall(r'id="operations-tag-(\w+)"', page)
    assert sorted(shown) == sorted(tags)


def test_an_operation_opens_with_its_schemas(api: Api, chromium: str, tmp_path: Path) -> None:
    page, console = rendered(chromium, f"{api.url}/docs#/Service/ServiceService_UpdateService", tmp_path)
    assert console == ""
    assert "UpdateService changes attributes" in page


def test_nothing_is_loaded_from_elsewhere(api: Api) -> None:
    page = httpx.get(f"{api.url}/docs")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in page.headers["content-security-policy"]
    sources = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert sources
    for source in sources:
        if source != "data:,":
            assert source.startswith("/"), source
            asset = httpx.get(f"{api.url}{source}")
            assert asset.status_code == 200
            if source.startswith("/docs/"):
                assert "immutable" in asset.headers["cache-control"]
                assert asset.headers["content-type"].startswith(("application/javascript", "text/css"))
