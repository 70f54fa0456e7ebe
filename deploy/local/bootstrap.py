"""Makes a fresh suite usable: an access token for the administrator, the grid of the local node, `master.env`."""

import subprocess
import sys
from datetime import datetime
from typing import Any

import httpx

from deploy.local.node import local_node
from deploy.local.probes import NotUp, http_status, wait_until
from deploy.local.processes import service_env
from deploy.local.settings import ROOT, LocalSettings, load_secrets, read_env, write_env

_JSON = {"Accept": "application/json"}


def master_env(settings: LocalSettings) -> dict[str, str]:
    """The variables the public CLI reads; makes the token on first use, keeps it while it is good, and makes a new one
    when it was revoked. Idempotent."""
    path = settings.var / "master.env"
    known = read_env(path)
    token = known.get("KONTENA_TOKEN", "")
    status = http_status(f"{settings.url}/v1/user", token) if token else 401
    if status == 401:
        token = _first_token(settings) or _operators_token(settings)
    elif status != 200:
        raise NotUp(f"GET /v1/user answered {status}. See the logs: make logs")
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


def wait_for_node(settings: LocalSettings, token: str, since: float, seconds: float) -> dict[str, Any]:
    """The node of this machine, once it is online with what its agent told in a session that began after `since`."""
    online: list[dict[str, Any]] = []

    def check() -> bool:
        mine = local_node(settings).node_id
        nodes = _get(settings, f"/v1/grids/{settings.grid}/nodes", token).get("nodes", [])
        online[:] = [node for node in nodes if node["node_id"] == mine and node["status"] == "online"]
        return bool(online) and datetime.fromisoformat(online[0]["connected_at"]).timestamp() >= since

    wait_until("the local node was not online", check, seconds=seconds, log=settings.log_of("agent"))
    return online[0]


def _first_token(settings: LocalSettings) -> str:
    """The token for the initial code; empty when that was used before."""
    body = {"grant_type": "authorization_code", "code": load_secrets(settings)["INITIAL_ADMIN_CODE"]}
    answer = httpx.post(f"{settings.url}/oauth2/token", json=body, headers=_JSON, timeout=10)
    return str(answer.json()["access_token"]) if answer.status_code == 200 else ""


def _operators_token(settings: LocalSettings) -> str:
    """A new token, made on the database: who may start the suite may do that."""
    words = ("--user", "admin", "--scope", "user,owner", "--expires-in", "0", "--description", "make up")
    env = service_env(settings, load_secrets(settings), "auth")
    command = [sys.executable, "-m", "services.auth_svc", "admin", "create-token", *words]
    done = subprocess.run(command, check=False, cwd=ROOT, env=env, capture_output=True, text=True)  # noqa: S603
    if done.returncode != 0:
        path = settings.var / "master.env"
        raise NotUp(
            f"the token in {path} is not valid, and no new one could be made: {done.stderr.strip()}. "
            "Who is there: .venv/bin/python -m deploy.local admin list-users. A code for the administrator: "
            ".venv/bin/python -m deploy.local admin reset-code"
        )
    return done.stdout.strip()


def _get(settings: LocalSettings, path: str, token: str) -> dict[str, Any]:
    answer = httpx.get(f"{settings.url}{path}", headers={**_JSON, "Authorization": f"Bearer {token}"}, timeout=10)
    body: dict[str, Any] = answer.json()
    return body


def _post(settings: LocalSettings, path: str, token: str, body: dict[str, Any]) -> None:
    headers = {**_JSON, "Authorization": f"Bearer {token}"}
    httpx.post(f"{settings.url}{path}", json=body, headers=headers, timeout=10).raise_for_status()
