"""Makes a fresh suite usable: an access token for the administrator, the grid of the local node, `master.env`."""

from typing import Any

import httpx

from deploy.local.probes import NotUp, http_status, wait_until
from deploy.local.settings import LocalSettings, load_secrets, read_env, write_env

_JSON = {"Accept": "application/json"}


def master_env(settings: LocalSettings) -> dict[str, str]:
    """The variables the public CLI reads; makes the token on first use and keeps it. Idempotent."""
    path = settings.var / "master.env"
    known = read_env(path)
    token = known.get("KONTENA_TOKEN", "")
    if not token or http_status(f"{settings.url}/v1/user", token) != 200:
        token = _first_token(settings)
    values = {"KONTENA_URL": settings.url, "KONTENA_TOKEN": token, "KONTENA_GRID": settings.grid}
    if values != known:
        write_env(path, values)
    return values


def ensure_grid(settings: LocalSettings, token: str) -> None:
    """Create the local grid with the token that the local agent has, unless it exists."""
    if http_status(f"{settings.url}/v1/grids/{settings.grid}", token) == 200:
        return
    body = {"name": settings.grid, "token": load_secrets(settings)["KONTENA_GRID_TOKEN"]}
    _post(settings, "/v1/grids", token, body)


def wait_for_node(settings: LocalSettings, token: str, seconds: float) -> dict[str, Any]:
    """The first node of the local grid, once it is online."""
    online: list[dict[str, Any]] = []

    def check() -> bool:
        nodes = _get(settings, f"/v1/grids/{settings.grid}/nodes", token).get("nodes", [])
        online[:] = [node for node in nodes if node["status"] == "online"]
        return bool(online)

    wait_until("the local node was not online", check, seconds=seconds, hint="See var/logs/agent.log.")
    return online[0]


def _first_token(settings: LocalSettings) -> str:
    code = load_secrets(settings)["INITIAL_ADMIN_CODE"]
    body = {"grant_type": "authorization_code", "code": code}
    answer = httpx.post(f"{settings.url}/oauth2/token", json=body, headers=_JSON, timeout=10)
    if answer.status_code != 200:
        raise NotUp(
            f"the initial admin code was not accepted ({answer.status_code}): it was used before and var/master.env is "
            "gone. Make a new token with: .venv/bin/python -m deploy.local admin create-token --user admin"
        )
    return str(answer.json()["access_token"])


def _get(settings: LocalSettings, path: str, token: str) -> dict[str, Any]:
    answer = httpx.get(f"{settings.url}{path}", headers={**_JSON, "Authorization": f"Bearer {token}"}, timeout=10)
    body: dict[str, Any] = answer.json()
    return body


def _post(settings: LocalSettings, path: str, token: str, body: dict[str, Any]) -> None:
    headers = {**_JSON, "Authorization": f"Bearer {token}"}
    httpx.post(f"{settings.url}{path}", json=body, headers=headers, timeout=10).raise_for_status()
