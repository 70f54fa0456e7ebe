"""The requests of the reference's section Nodes on agents that run for real, and those of the public client."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.raw import raw
from tests.support.containers import Docker
from tests.support.suite import REPOSITORY, Api, soon

GRID = "mygrid"
ENGINE = ":".join(["RQKP", "Y32W", "SB4H", "7TNG", "5BKC", "R6ZO", "5B25", "C2AV", "3Z3Q", "SVPX", "A76C", "WPBX"])


@contextmanager
def agent(api: Api, folder: Path, **environment: str) -> Iterator[None]:
    """An agent as an operator starts one; its network, which outlives it, goes at the end."""
    env = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    env |= {"KONTENA_URI": api.url, "KONTENA_STATE_DIR": str(folder), **environment}
    command = [sys.executable, "-m", "agent"]
    with (folder / "agent.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=REPOSITORY, env=env, stdout=log, stderr=log)
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if "DOCKER_HOST" in env:
            subprocess.run([*command, "remove-containers"], cwd=REPOSITORY, env=env, check=True, capture_output=True)


@pytest.fixture(scope="module")
def token(api: Api) -> Iterator[str]:
    yield api.call("POST", "/v1/grids", {"name": GRID, "initial_size": 3}, status=201)["token"]
    for node in api.call("GET", f"/v1/grids/{GRID}/nodes")["nodes"]:
        api.call("DELETE", f"/v1/nodes/{node['id']}")
    api.call("DELETE", f"/v1/grids/{GRID}")


@pytest.fixture(scope="module")
def machines(api: Api, token: str, docker: Docker) -> Iterator[str]:
    """Two agents: `misty-sun-87` on the real engine, `other` on the hollow one. The id of the first."""
    with ExitStack() as stack:
        folders = [Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kagent"))) for _ in range(2)]
        real = {
            "KONTENA_NODE_NAME": "misty-sun-87",
            "KONTENA_NODE_ID": ENGINE,
            "KONTENA_NODE_LABELS": "region=eu-west-1,az=a,type=m4.large",
            "KONTENA_PUBLIC_IP": "52.30.169.34",
            "DOCKER_HOST": docker.host,
            "KONTENA_RUNTIME": "docker",
        }
        other = {
            "KONTENA_NODE_NAME": "other",
            "KONTENA_NODE_LABELS": "region=eu-west-1",
            "KONTENA_PRIVATE_IP": "172.31.7.172",
            "KONTENA_RUNTIME": "hollow",
        }
        for folder, environment in zip(folders, (real, other), strict=True):
            stack.enter_context(agent(api, folder, KONTENA_GRID_TOKEN=token, **environment))
        for name in ("misty-sun-87", "other"):
            online(api, f"{GRID}/{name}")
        yield f"{GRID}/misty-sun-87"


def online(api: Api, path: str) -> dict[str, Any]:
    def fact() -> dict[str, Any] | None:
        found = api.request("GET", f"/v1/nodes/{path}").json()
        return found if found.get("status") == "online" and found.get("resource_usage", {}).get("memory") else None

    return soon(fact, message=f"{path} is online with a sample")


def test_every_documented_attribute_of_a_real_machine(api: Api, machines: str, docker: Docker, token: str) -> None:
    node = online(api, machines)
    engine = docker.command(
        "info", "--format", "{{.KernelVersion}}|{{.NCPU}}|{{.DockerRootDir}}|{{.Driver}}|{{.MemTotal}}"
    )
    kernel, cpus, root, driver, memory = engine.strip().split("|")
    assert (node["id"], node["node_id"], node["name"]) == (machines, ENGINE, "misty-sun-87")
    assert (node["connected"], node["updated"], node["status"], node["availability"]) == (
        True,
        True,
        "online",
        "active",
    )
    assert (node["kernel_version"], node["cpus"], node["engine_root_dir"]) == (kernel, int(cpus), root)
    assert (node["driver"], node["mem_total"], node["mem_limit"]) == (driver, int(memory), 0)
    assert (node["public_ip"], node["peer_ips"]) == ("52.30.169.34", ["172.31.7.172"])
    assert node["labels"] == ["region=eu-west-1", "az=a", "type=m4.large"]
    assert node["node_number"] in (1, 2)
    assert (node["initial_member"], node["initial_node"], node["has_token"]) == (True, True, False)
    assert node["overlay_ip"] == f"10.81.0.{node['node_number']}"
    for key in ("os", "docker_version", "agent_version", "private_ip", "network_drivers", "volume_drivers"):
        assert node[key], key
    for key in ("created_at", "updated_at", "last_seen_at", "connected_at"):
        assert node[key].endswith("Z"), key
    usage = node["resource_usage"]
    for key in ("used", "cached", "buffers", "total", "free", "active", "inactive"):
        assert isinstance(usage["memory"][key], int | float), key
    assert set(usage["load"]) == {"1m", "5m", "15m"}
    assert [item["name"] for item in usage["filesystem"]] == [root]
    assert usage["filesystem"][0]["total"] > usage["filesystem"][0]["used"] > 0
    assert usage["cpu"]["num_cores"] == int(cpus)
    grid = node["grid"]
    assert (grid["id"], grid["name"], grid["initial_size"], grid["token"]) == (GRID, GRID, 3, token)
    assert (grid["stats"], grid["trusted_subnets"], grid["subnet"]) == ({}, [], "10.81.0.0/16")


def test_node_requests_of_the_reference(api: Api, machines: str) -> None:
    listed = raw(api, "GET", f"/v1/grids/{GRID}/nodes").json()["nodes"]
    assert [node["name"] for node in listed] == ["misty-sun-87", "other"]
    # As documented: without a content type.
    updated = raw(api, "PUT", f"/v1/nodes/{machines}", '{\n\t"labels": ["foo=bar", "bar=baz"]\n}')
    assert (updated.status_code, updated.json()["labels"]) == (200, ["foo=bar", "bar=baz"])
    found = raw(api, "GET", f"/v1/nodes/{machines}")
    assert (found.status_code, found.json()["labels"]) == (200, ["foo=bar", "bar=baz"])
    assert raw(api, "GET", f"/v1/nodes/{GRID}/{ENGINE}").json()["name"] == "misty-sun-87"
    labels = ["region=eu-west-1", "az=a", "type=m4.large"]
    drained = api.call("PUT", f"/v1/nodes/{machines}", {"labels": labels, "availability": "drain"})
    assert (drained["status"], drained["labels"]) == ("drain", labels)
    refused = api.call("PUT", f"/v1/nodes/{machines}", {"availability": "evacuate"}, status=422)
    assert refused == {"error": {"availability": "Availability isn't an option"}}
    assert api.call("PUT", f"/v1/nodes/{machines}", {"availability": "active"})["status"] == "online"
    api.call("GET", f"/v1/nodes/{GRID}/none", status=404)


def test_health_and_legacy_path(api: Api, machines: str, token: str) -> None:
    health = api.call("GET", f"/v1/nodes/{machines}/health")
    assert (health["status"], health["connected"], health["etcd_health"].get("health")) == ("online", True, None)
    assert health["etcd_health"]["error"]
    assert abs(health["clock_skew"]) < 60
    bare = Api(api.url, "", GRID)
    headers = {"Kontena-Grid-Token": token}
    assert bare.request("GET", f"/v1/nodes/{ENGINE}", headers=headers).json()["id"] == machines
    body = {"labels": ["region=eu-west-1", "az=a", "type=m4.large"]}
    changed = bare.request("PUT", f"/v1/nodes/{ENGINE}", body, headers=headers)
    assert (changed.status_code, changed.json()["labels"]) == (200, body["labels"])
    refused = bare.request("GET", f"/v1/nodes/{ENGINE}", headers={"Kontena-Grid-Token": "wrong"})
    assert (refused.status_code, refused.json()) == (404, {"error": "Not found"})


@pytest.mark.usefixtures("machines")
def test_a_node_without_an_engine_says_that_nothing_runs(api: Api) -> None:
    assert "only pretended" in api.call("GET", f"/v1/nodes/{GRID}/other")["os"]
    body = {"name": "pretended", "image": "none/none", "stateful": False, "affinity": ["node==other"]}
    service = api.call("POST", f"/v1/grids/{GRID}/services", body, status=201)["id"]
    try:
        told = api.deploy(service)["reason"]
    finally:
        api.call("DELETE", f"/v1/services/{service}")
    assert told == "Containers are only pretended: no container engine on node other"
    soon(lambda: api.request("GET", f"/v1/services/{service}").status_code == 404, message="the service is gone")


def test_a_node_created_ahead_and_its_token(api: Api, token: str, tmp_path: Path) -> None:
    own = "a-token-of-the-node-alone"
    ahead = api.call("POST", f"/v1/grids/{GRID}/nodes", {"name": "n2", "token": own, "labels": ["a=b"]}, status=201)
    assert (ahead["status"], ahead["has_token"], ahead["connected"]) == ("created", True, False)
    path = f"/v1/nodes/{ahead['id']}"
    unhealthy = api.call("GET", f"{path}/health", status=422)
    assert unhealthy == {"error": {"connection": "Websocket is not connected"}}
    assert api.call("GET", f"{path}/token") == {"id": f"{GRID}/n2", "token": own}
    hollow = {"KONTENA_RUNTIME": "hollow", "KONTENA_NODE_NAME": "ignored", "KONTENA_NODE_LABELS": "c=d"}
    with agent(api, tmp_path, KONTENA_NODE_TOKEN=own, **hollow):
        node = online(api, ahead["id"])
        assert (node["name"], node["labels"]) == ("n2", ["a=b", "c=d"])
        fresh = api.call("PUT", f"{path}/token", {"token": None, "reset_connection": True})
        assert len(fresh["token"]) == 88
        lost = soon(lambda: api.call("GET", f"{path}/health", status=422)["error"]["connection"])
        assert "with code 4031: host node n2 has been disconnected" in lost
    # As the public client sends it: DELETE with a JSON body.
    assert api.call("DELETE", f"{path}/token", {"reset_connection": True}) == {}
    missing = api.call("GET", f"{path}/token", status=404)
    assert missing == {"error": "Host node does not have a node token"}
    assert api.request("DELETE", f"{path}/token").status_code == 200
    assert api.call("DELETE", path) == {}
