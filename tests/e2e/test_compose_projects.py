"""Each compose file and stack file of the room (`tests/support/stack_files/`) becomes containers that run: converted
through the gateway, planned, deployed, all of a kind side by side."""

import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.containers import Docker
from tests.support.ports import free_port
from tests.support.stack_sources import body, projects
from tests.support.suite import Api, soon

LOOP = ["sh", "-c", "trap exit TERM INT; while :; do sleep 1; done"]
FILES = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
KINDS = {"compose": 10, "kontena": 6}
# Of each kind, those with the most of what nodes do: volumes, secrets, hooks, dependencies. All with `make test-heavy`;
# that each of them converts is shown in tests/integration/deploy_svc/test_stack_conversions.py as well.
OFTEN = {"compose": ("database", "hooks", "ports"), "kontena": ("family", "shell")}
SHARES = [
    *(pytest.param(kind, names, id=f"{kind}, some") for kind, names in OFTEN.items()),
    *(pytest.param(kind, tuple(projects(kind)), id=kind, marks=pytest.mark.heavy) for kind in KINDS),
]


@pytest.fixture
def made(api: Api) -> Iterator[list[str]]:
    """Paths of what is gone afterwards, stacks first. The node has the label that one of them asks for."""
    node = f"/v1/nodes/{api.grid}/local-node"
    before = api.call("GET", node)["labels"]
    api.call("PUT", node, {"labels": [*before, "zone=a"]})
    paths: list[str] = []
    yield paths
    # What something else uses cannot go yet.
    for path in sorted(paths, key=lambda path: "/stacks/" not in path):
        soon(lambda path=path: api.request("DELETE", path).status_code in (200, 404), message=f"{path} goes away")
    for path in paths:
        soon(lambda path=path: api.request("GET", path).status_code == 404, message=f"{path} is gone")
    api.call("PUT", node, {"labels": before})


@pytest.mark.parametrize(("kind", "names"), SHARES)
def test_every_project_runs(
    api: Api, docker: Docker, image: str, made: list[str], tmp_path: Path, kind: str, names: tuple[str, ...]
) -> None:
    grid = f"/v1/grids/{api.grid}"
    assert len(projects(kind)) == KINDS[kind]
    deploys, documents = {}, []
    for name in names:
        found = api.call("POST", f"{grid}/stacks/convert", body(kind, name))
        assert found["kind"] == kind
        for volume in found["volumes"]:
            api.call("POST", f"/v1/volumes/{api.grid}", {"scope": "stack", "driver": "local", **volume}, status=201)
            made.append(f"/v1/volumes/{api.grid}/{volume['name']}")
        for secret in found["secrets"]:
            api.call("POST", f"{grid}/secrets", {"value": "any value", **secret}, status=201)
            made.append(f"/v1/secrets/{api.grid}/{secret['name']}")
        for document in (*found["dependencies"], found["stack"]):
            for service in document["services"]:
                _fit(service, image, tmp_path)
            planned = api.call("POST", f"{grid}/stacks/plan", document)["services"]
            assert {item["action"] for item in planned} == {"create"}
            assert [
                item["placements"] for item in planned if not all("node" in one for one in item["placements"])
            ] == []
            api.call("POST", f"{grid}/stacks", document, status=201)
            stack = document["name"]
            made.append(f"/v1/stacks/{api.grid}/{stack}")
            documents.append(document)
            deploys[stack] = api.call("POST", f"/v1/stacks/{api.grid}/{stack}/deploy", {})["id"]
    ended = {stack: soon(lambda stack=stack: _ended(api, stack, deploys[stack]), within=240) for stack in deploys}
    assert {stack: deploy.get("reason") for stack, deploy in ended.items() if deploy["state"] != "success"} == {}
    for document in documents:
        for service in document["services"]:
            _check(docker, f"{api.grid}/{document['name']}/{service['name']}", service)


def _fit(service: dict[str, Any], image: str, folder: Path) -> None:
    """Images, ports and paths of other machines become those of this one; all else is as it was converted."""
    port = (service.get("deploy_opts") or {}).get("wait_for_port")
    service |= {"image": image, "cmd": ["httpd", "-f", "-p", str(port)] if port else LOOP, "entrypoint": ""}
    service["stop_grace_period"] = "0s"
    for one in service.get("ports") or ():
        # One for each instance has to be any.
        one["node_port"] = 0 if service.get("instances", 1) != 1 else one["node_port"] and free_port()
    if check := service.get("health_check"):
        check |= {"cmd": ["true"]} if check["protocol"] == "exec" else {"initial_delay": 86400}
    if service.get("volumes"):
        there = [volume.replace(",rslave", "").replace("/opt/ssl", str(folder), 1) for volume in service["volumes"]]
        service["volumes"] = there
    if service.get("devices"):
        service["devices"] = [
            device.replace("/dev/sda", "/dev/null").replace("/dev/kmsg", "/dev/zero") for device in service["devices"]
        ]
    if service.get("group_add"):
        # The image has no groups of these names.
        service["group_add"] = ["10" for _ in service["group_add"]]
    if "nofile" in (service.get("ulimits") or ()):
        # No machine gives more than it has.
        service["ulimits"]["nofile"] = {"soft": FILES, "hard": FILES}
    if service.get("net") == "host":
        # The engine takes none of the network of the node.
        service["sysctls"] = {}


def _ended(api: Api, stack: str, deploy: str) -> Any:
    found = api.call("GET", f"/v1/stacks/{api.grid}/{stack}/deploys/{deploy}")
    return found if "finished_at" in found else None


def _check(docker: Docker, path: str, service: dict[str, Any]) -> None:
    """The containers have what the document says."""
    found = docker.all(path)
    assert len(found) == (service.get("instances") or 1), path
    for shown in found:
        assert shown["State"]["Running"], path
        assert set(service.get("env") or ()) <= set(shown["Config"]["Env"]), path
        assert (service.get("labels") or {}).items() <= shown["Config"]["Labels"].items(), path
        assert (service.get("user") or "", service.get("working_dir") or "") == (
            shown["Config"]["User"],
            shown["Config"]["WorkingDir"],
        ), path
        published = sorted(str(port["container_port"]) for port in service.get("ports") or ())
        bound = [
            key.partition("/")[0] for key, ends in (shown["HostConfig"]["PortBindings"] or {}).items() for _ in ends
        ]
        assert sorted(bound) == published, path
        mounted = {mount["Destination"] for mount in shown["Mounts"]} | set(shown["HostConfig"].get("Tmpfs") or ())
        wanted = {(volume.split(":") * 2)[1] for volume in service.get("volumes") or ()}
        wanted |= {each.partition(":")[0] for each in service.get("tmpfs") or ()}
        assert wanted <= mounted, path
        assert (service.get("memory") or 0) == shown["HostConfig"]["Memory"], path
