"""Secrets and configs of a compose file become files of a container that runs, and a change renews them."""

import hashlib
import json

from tests.e2e.pods import logs
from tests.e2e.stacks import deployed
from tests.support.containers import Docker
from tests.support.suite import Api, soon

TOKEN = "a-token-that-only-its-file-has"
FILE = """
name: e2e-files
services:
  web:
    image: ${IMAGE}
    user: "1000"
    command: ["sh", "-c", "md5sum /run/secrets/token | cut -c1-32; cat /etc/app.conf; exec sleep 100000"]
    stop_grace_period: 0s
    secrets: [{source: token, mode: 0400, uid: "1000"}]
    configs: [{source: app, target: /etc/app.conf}]
secrets:
  token: {environment: TOKEN}
configs:
  app: {file: ./app.conf}
"""


def md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def test_files_of_a_compose_file_reach_the_container_and_follow_their_source(
    api: Api, docker: Docker, image: str
) -> None:
    grid = f"/v1/grids/{api.grid}"
    source = {"files": {"compose.yaml": FILE, "app.conf": "one\n"}, "variables": {"IMAGE": image, "TOKEN": TOKEN}}
    found = api.call("POST", f"{grid}/stacks/convert", source)
    assert TOKEN not in json.dumps(found["stack"])
    for secret in found["secrets"]:
        api.call("POST", f"{grid}/secrets", secret, status=201)
    for config in found["configs"]:
        api.call("POST", f"{grid}/configs", config, status=201)
    api.call("POST", f"{grid}/stacks", found["stack"], status=201)
    stack, web = f"/v1/stacks/{api.grid}/e2e-files", f"{api.grid}/e2e-files/web"
    try:
        deployed(api, stack)
        soon(lambda: {md5(TOKEN), "one"} <= set(logs(api, web)))
        shown = docker.one(web)
        assert TOKEN not in json.dumps(shown)
        assert {mount["Destination"] for mount in shown["Mounts"]} == {"/run/secrets/token", "/etc/app.conf"}
        api.call("PUT", f"/v1/configs/{api.grid}/e2e-files-app", {"content": "two\n"})
        soon(lambda: "two" in logs(api, web))
        api.call("PUT", f"/v1/secrets/{api.grid}/e2e-files-token", {"value": f"{TOKEN}-renewed"})
        soon(lambda: md5(f"{TOKEN}-renewed") in logs(api, web))
    finally:
        api.request("DELETE", stack)
        soon(lambda: api.request("GET", stack).status_code == 404, message="the stack goes away")
        api.request("DELETE", f"/v1/secrets/{api.grid}/e2e-files-token")
        api.request("DELETE", f"/v1/configs/{api.grid}/e2e-files-app")
