"""Asking for deploys while parts of the suite are away, and waiting for their end."""

import httpx

from tests.support.suite import Api, soon

CONTROL_PLANE = ("auth_svc", "grid_svc", "deploy_svc", "engine", "vault_svc")


def ended(api: Api, service: str, deploy: str, within: float = 240.0) -> dict[str, object]:
    def found() -> dict[str, object] | None:
        try:
            # Where nobody answers, one request would take all the time and more.
            answer = api.request("GET", f"/v1/services/{service}/deploys/{deploy}", timeout=min(20.0, within))
        except httpx.TransportError:
            return None
        return answer.json() if answer.status_code == 200 and "finished_at" in answer.json() else None

    return soon(found, within=within, message="the deploy ends")


def outcome(deploy: dict[str, object]) -> tuple[object, object]:
    return deploy["state"], deploy.get("reason")


def asked(api: Api, method: str, path: str, status: int = 200) -> dict[str, object]:
    """A request that is repeated while the control plane is not there."""

    def answered() -> dict[str, object] | None:
        try:
            answer = api.request(method, path, {} if method == "POST" else None, timeout=20)
        except httpx.TransportError:
            return None
        return answer.json() if answer.status_code == status else None

    return soon(answered, within=120, message=f"{method} {path} answers {status}")
