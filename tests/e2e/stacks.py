"""Stacks on a running suite."""

from typing import Any

from tests.support.suite import Api, soon


def deployed(api: Api, path: str) -> dict[str, Any]:
    """Deploy the stack as it is stored, and expect success."""
    requested = api.call("POST", f"{path}/deploy", {})

    def ended() -> dict[str, Any] | None:
        found = api.call("GET", f"{path}/deploys/{requested['id']}")
        return found if found["state"] in ("success", "error") else None

    deploy = soon(ended, within=180, message="the stack deploy ends")
    assert deploy["state"] == "success", deploy
    return deploy
