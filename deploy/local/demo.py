"""`make demo`: one small service, from nothing to an answer on a published port."""

import os
import sys
import time
from typing import Any

import httpx

from deploy.local.probes import NotUp, wait_until
from deploy.local.settings import LocalSettings, read_env

_NAME = "hello"
_IMAGE = os.environ.get("DEMO_IMAGE", "busybox:latest")
_PORT = int(os.environ.get("DEMO_PORT", "8899"))
# The shell ends when it is told to; as the first process of a container it would ignore that otherwise.
_SCRIPT = (
    "trap exit TERM; mkdir -p /www; echo hello from $HOSTNAME | tee /www/index.html; httpd -f -p 8080 -h /www & wait"
)


class Api:
    """The REST API with the token of `var/master.env`."""

    def __init__(self, settings: LocalSettings) -> None:
        env = read_env(settings.var / "master.env")
        if not env:
            raise NotUp("the suite was never started: run make up")
        self.grid = env["KONTENA_GRID"]
        headers = {"Authorization": f"Bearer {env['KONTENA_TOKEN']}", "Accept": "application/json"}
        self._client = httpx.Client(base_url=env["KONTENA_URL"], headers=headers, timeout=15)

    def call(
        self, method: str, path: str, body: Any = None, *, missing_ok: bool = False, quiet: bool = False
    ) -> dict[str, Any]:
        """Send a request, print it unless `quiet`, return the JSON answer."""
        answer = self._client.request(method, path, json=body)
        if not quiet:
            print(f"{method} {path} -> {answer.status_code}")  # noqa: T201
        if answer.is_error and not (missing_ok and answer.status_code == 404):
            raise NotUp(f"{method} {path} answered {answer.status_code}: {answer.text}")
        document: dict[str, Any] = answer.json()
        return document


def main() -> int:
    """Deploy, show, and leave the service running."""
    try:
        _run(Api(LocalSettings()))
    except (NotUp, httpx.HTTPError) as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


def _run(api: Api) -> None:
    service = f"/v1/services/{api.grid}/null/{_NAME}"
    body = {
        "name": _NAME,
        "image": _IMAGE,
        "stateful": False,
        "cmd": ["sh", "-c", _SCRIPT],
        "ports": [{"ip": "127.0.0.1", "node_port": _PORT, "container_port": 8080}],
        "deploy_opts": {"wait_for_port": 8080},
    }
    api.call("DELETE", service, missing_ok=True)
    api.call("POST", f"/v1/grids/{api.grid}/services", body)
    deploy = api.call("POST", f"{service}/deploy", {})
    deploy = _finished(api, service, str(deploy["id"]))
    print(f"deploy {deploy['state']}: {deploy.get('reason') or deploy['instance_deploys']}")  # noqa: T201
    if deploy["state"] != "success":
        raise NotUp(f"the deploy failed. Is the image {_IMAGE} there? Choose another one with DEMO_IMAGE=...")
    url = f"http://127.0.0.1:{_PORT}/"
    print(f"GET {url} -> {httpx.get(url, timeout=5).text.strip()}")  # noqa: T201
    for line in api.call("GET", f"{service}/container_logs?limit=5")["logs"]:
        print(f"log {line['name']}: {line['data']}")  # noqa: T201


def _finished(api: Api, service: str, deploy_id: str) -> dict[str, Any]:
    last: dict[str, Any] = {}
    print(f"GET {service}/deploys/{deploy_id} until it has finished_at")  # noqa: T201

    def check() -> bool:
        last.update(api.call("GET", f"{service}/deploys/{deploy_id}", quiet=True))
        time.sleep(0.3)
        return "finished_at" in last

    wait_until("the deploy did not end", check, seconds=330)
    return last


if __name__ == "__main__":
    sys.exit(main())
