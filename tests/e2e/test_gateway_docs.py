"""The API reference in a real browser that cannot reach anything but the suite."""

import re
from pathlib import Path

import httpx
import pytest

from tests.support.browser import rendered
from tests.support.suite import Api

pytestmark = pytest.mark.slow


def test_the_page_shows_all_and_opens_an_operation_with_its_schemas_offline(api: Api, tmp_path: Path) -> None:
    page, console = rendered(f"{api.url}/docs#/Services/ServiceService_UpdateService", tmp_path)
    assert console == ""
    assert 'class="title">Kontena Master' in page
    tags = [tag["name"].replace(" ", "_") for tag in api.call("GET", "/openapi.json")["tags"]]
    assert re.findall(r'id="operations-tag-(\w+)"', page) == tags
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
