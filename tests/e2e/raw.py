"""Requests as a client that knows nothing of JSON sends them."""

import httpx

from tests.support.suite import Api


def raw(api: Api, method: str, path: str, body: str = "", **headers: str) -> httpx.Response:
    """A request with exactly these headers: the reference writes `bearer` in lower case, and often no content type."""
    sent = {"Authorization": f"bearer {api.token}", "Accept": "application/json"}
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.request(method, f"{api.url}{path}", content=body or None, headers=sent | names, timeout=60)
