"""A compose file and a stack file become containers that run: converted through the gateway, planned, deployed."""

import http.client
from typing import Any

import pytest

from tests.e2e.stacks import deployed
from tests.support.containers import Docker
from tests.support.ports import free_port
from tests.support.stack_sources import projects
from tests.support.suite import Api, soon


@pytest.mark.parametrize("kind", ["compose", "kontena"])
def test_files_become_containers(api: Api, docker: Docker, image: str, kind: str) -> None:
    name, port = f"e2e-{kind}", free_port()
    project = projects(kind)["web" if kind == "compose" else "shell"]
    files = {
        file: text.replace("busybox:${TAG:-latest}", "${IMAGE}").replace("busybox:latest", image)
        for file, text in project.items()
    }
    files = {file: text.replace("18080", str(port)) for file, text in files.items()}
    path = f"/v1/grids/{api.grid}/stacks"
    # The stack file declares its variables; only the compose file takes any other.
    variables = {"IMAGE": image} if kind == "compose" else {"greeting": "welcome"}
    found = api.call("POST", f"{path}/convert", {"files": files, "name": name, "variables": variables})
    assert (found["kind"], found["warnings"], found["volumes"], found["secrets"]) == (kind, [], [], [])
    document = found["stack"]
    planned = api.call("POST", f"{path}/plan", document)["services"]
    assert {item["action"] for item in planned} == {"create"}
    api.call("POST", path, document, status=201)
    stack = f"/v1/stacks/{api.grid}/{name}"
    try:
        deployed(api, stack)
        _check(docker, f"{api.grid}/{name}", kind, port)
        again = api.call("POST", f"{path}/convert", {"name": name})["stack"]
        assert api.call("POST", f"{stack}/plan", again)["changed"] is False, "what is kept says the same"
    finally:
        api.request("DELETE", stack)
        soon(lambda: api.request("GET", stack).status_code == 404, message="the stack goes away")


def _check(docker: Docker, stack: str, kind: str, port: int) -> None:
    """What runs is what the files say."""
    if kind == "kontena":
        shell: dict[str, Any] = docker.one(f"{stack}/shell")
        greeting = f"echo welcome, {stack.partition('/')[0]} $HOSTNAME"
        assert greeting in shell["Config"]["Cmd"][-1]
        return
    front, cache = docker.one(f"{stack}/front"), docker.one(f"{stack}/cache")
    assert {"CACHE_HOST=cache", "PRICE=5$"} <= set(front["Config"]["Env"])
    assert cache["State"]["StartedAt"] < front["State"]["StartedAt"], "depends_on"
    assert front["HostConfig"]["Init"] is True

    def answered() -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/")
            return connection.getresponse().read() == b"front\n"
        except OSError:
            return False
        finally:
            connection.close()

    soon(answered, message="the published port answers")


def test_refusals_say_where_and_what_to_do(api: Api) -> None:
    text = "name: a\nservices: {web: {image: x, build: ., ports: [x]}}"
    answer = api.request("POST", f"/v1/grids/{api.grid}/stacks/convert", {"files": {"compose.yaml": text}})
    assert answer.status_code == 422
    assert set(answer.json()["error"]) == {"services.web.build", "services.web.ports[0]"}
    assert "docker build" in answer.json()["error"]["services.web.build"]
