"""The cookie of a login goes through the gateway, both ways."""

import asyncio
from pathlib import Path

import httpx
import pytest

from tests.integration.auth_svc.auth_client import AuthClient
from tests.integration.gateway import proxy
from tests.support.provider import StandIn
from tests.support.running import Running


@pytest.mark.usefixtures("provider")
async def test_a_browser_brings_back_what_it_was_given(
    auth: Running, admin: AuthClient, provider: StandIn, tmp_path: Path
) -> None:
    code = (await admin.invite("new@x.org")).json["invite_code"]
    port = int(auth.address.rpartition(":")[2])
    proxied = proxy.running(proxy.settings(tmp_path, port), tmp_path)
    # It waits for health checks, which this very loop answers.
    gateway = await asyncio.to_thread(proxied.__enter__)
    try:
        async with httpx.AsyncClient(base_url=gateway.url, timeout=60) as browser:
            begin = {"redirect_uri": "http://localhost:5000/x", "invite_code": code}
            begun = await browser.get("/authenticate", params=begin)
            assert begun.status_code == 302, begun.text
            given = begun.headers["set-cookie"]
            assert given.startswith("kontena_login_")
            state = httpx.URL(begun.headers["location"]).params["state"]
            cookie = {"cookie": f"other=1; {given.partition(';')[0]}"}
            ended = await browser.get("/cb", params={"state": state, "code": "c"}, headers=cookie)
            assert ended.status_code == 302, ended.text
            assert ended.headers["location"].startswith("http://localhost:5000/x?code=")
            assert "Max-Age=0" in ended.headers["set-cookie"]
    finally:
        await asyncio.to_thread(proxied.__exit__, None, None, None)
    assert provider.asked
