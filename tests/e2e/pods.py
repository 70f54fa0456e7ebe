"""A service for one test, and what became of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.support.suite import Api, soon

SLEEP = ["sleep", "100000"]


@contextmanager
def service(api: Api, name: str, image: str, **changed: Any) -> Iterator[str]:
    """A service that is removed at the end."""
    body = {"name": name, "image": image, "stateful": False, "cmd": SLEEP, "stop_grace_period": "0s", **changed}
    created = str(api.call("POST", f"/v1/grids/{api.grid}/services", body, status=201)["id"])
    try:
        yield created
    finally:
        soon(lambda: api.request("DELETE", f"/v1/services/{created}").status_code in (200, 404))


def failed(api: Api, name: str) -> dict[str, Any]:
    """Deploy and expect an error; returns the deploy."""
    deploy = api.deployed(name, api.call("POST", f"/v1/services/{name}/deploy", {}))
    assert deploy["state"] == "error", deploy
    return deploy


def logs(api: Api, name: str) -> list[str]:
    """All lines of a service."""
    return [line["data"] for line in api.call("GET", f"/v1/services/{name}/container_logs?limit=1000")["logs"]]
