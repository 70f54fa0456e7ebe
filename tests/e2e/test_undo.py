"""What people do when a deploy turns out wrong: cancel it, or go back to a revision of before. Real containers."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.containers import Docker
from tests.support.ports import free_port
from tests.support.registry import silent_registry
from tests.support.suite import Api, soon


@pytest.fixture
def name(api: Api, docker: Docker, image: str) -> Iterator[str]:
    """Two instances of the first revision, which run."""
    body = {
        "name": "undo",
        "image": image,
        "stateful": False,
        "instances": 2,
        "cmd": ["sleep", "100000"],
        "env": ["VERSION=1"],
        "stop_grace_period": "0s",
    }
    created = str(api.call("POST", f"/v1/grids/{api.grid}/services", body, status=201)["id"])
    api.deploy(created)
    yield created
    api.call("DELETE", f"/v1/services/{created}")
    soon(lambda: docker.all(created) == [], message="its containers are gone")


def begin(api: Api, name: str, **attributes: Any) -> str:
    """Change the service and deploy it; returns the path of the deploy."""
    api.call("PUT", f"/v1/services/{name}", attributes)
    deploy = api.call("POST", f"/v1/services/{name}/deploy", {})["id"]
    return f"/v1/services/{name}/deploys/{deploy}"


def under_way(api: Api, path: str) -> bool:
    """Whether the deploy has come to an instance."""
    return api.call("GET", path)["instance_deploys"] != []


def versions(docker: Docker, name: str) -> dict[str, str]:
    """The variable VERSION of each running container, by name."""
    return {
        entry["Name"].lstrip("/"): item.removeprefix("VERSION=")
        for entry in docker.all(name)
        if entry["State"]["Running"]
        for item in entry["Config"]["Env"]
        if item.startswith("VERSION=")
    }


def test_a_deploy_that_is_canceled_while_a_node_pulls_touches_no_container(api: Api, docker: Docker, name: str) -> None:
    before = docker.running(name)
    with silent_registry() as registry:
        path = begin(api, name, image=f"{registry}/slow:1", env=["VERSION=2"])
        waiting = api.call("POST", f"/v1/services/{name}/deploy", {})["id"]
        soon(lambda: under_way(api, path))
        queued = api.call("POST", f"/v1/services/{name}/deploys/{waiting}/cancel", {})
        assert queued["reason"].endswith("before it began: nothing was changed")
        reason = api.call("POST", f"{path}/cancel", {})["reason"]
    assert reason.endswith("Instances: 1 as before; 2 not begun")
    counts = soon(lambda: _all_report(api, name), message="the node says what it runs")
    assert counts == {"total": 2, "running": 2}
    assert docker.running(name) == before
    told = [item["id"] for item in api.call("GET", f"/v1/services/{name}/deploys")["deploys"]]
    assert told[:2] == [waiting, path.rpartition("/")[2]]


def _all_report(api: Api, name: str) -> Any:
    found = api.call("GET", f"/v1/services/{name}")["instance_counts"]
    return found if found["running"] == 2 else None


def test_an_instance_that_waits_for_its_port_goes_back_and_the_others_are_left_alone(
    api: Api, docker: Docker, name: str
) -> None:
    before = docker.running(name)
    path = begin(api, name, env=["VERSION=2"], deploy_opts={"wait_for_port": 9})
    soon(lambda: versions(docker, name).get("undo-1") == "2", message="the first one is replaced")
    api.call("POST", f"{path}/cancel", {})
    soon(lambda: versions(docker, name) == {"undo-1": "1", "undo-2": "1"}, message="all is as before")
    assert docker.running(name)["undo-2"] == before["undo-2"]
    again = api.request("POST", f"{path}/cancel", {})
    assert (again.status_code, again.json()["state"]) == (200, "error")


def test_instances_that_are_done_keep_what_they_got(api: Api, docker: Docker, name: str) -> None:
    # Only the first one ever opens the port.
    script = "case $HOSTNAME in *-1) exec httpd -f -p 8080;; esac; exec sleep 100000"
    path = begin(api, name, cmd=["sh", "-c", script], env=["VERSION=2"], deploy_opts={"wait_for_port": 8080})

    def halfway() -> bool:
        found = {item["instance_number"]: item["state"] for item in api.call("GET", path)["instance_deploys"]}
        return found == {1: "success", 2: "ongoing"} and versions(docker, name).get("undo-2") == "2"

    soon(halfway, message="one is done, and the other one waits for its port")
    done = docker.running(name)["undo-1"]
    reason = api.call("POST", f"{path}/cancel", {})["reason"]
    assert reason.endswith("Instances: 1 deployed already; 2 as before")
    soon(lambda: versions(docker, name) == {"undo-1": "2", "undo-2": "1"}, message="the other one is as before")
    assert docker.running(name)["undo-1"] == done


def test_back_to_the_third_last_revision_after_everything_changed(
    api: Api, docker: Docker, name: str, image: str
) -> None:
    service = f"/v1/services/{name}"
    api.call("POST", f"/v1/grids/{api.grid}/secrets", {"name": "UNDO_A", "value": "undo-secret-a"}, status=201)
    api.call("POST", f"/v1/grids/{api.grid}/secrets", {"name": "UNDO_B", "value": "undo-secret-b"}, status=201)
    volume = {"name": "undo-data", "scope": "grid", "driver": "local"}
    api.call("POST", f"/v1/volumes/{api.grid}", volume, status=201)
    docker.command("tag", image, "undo:2")
    ports = [{"ip": "127.0.0.1", "node_port": free_port(), "container_port": 80}]
    secret = {"secret": "UNDO_A", "name": "SECRET"}
    wanted = {"secrets": [secret], "volumes": ["undo-data:/data"], "ports": ports, "env": ["VERSION=A"]}
    api.call("PUT", service, {**wanted, "instances": 1})
    api.deploy(name)
    then = api.call("GET", service)
    api.call("PUT", service, {"image": "undo:2", "secrets": [{**secret, "secret": "UNDO_B"}]})
    api.call("PUT", service, {"volumes": [], "ports": []})
    api.deploy(name)
    assert docker.one(name)["Mounts"] == []
    back = api.deployed(name, api.call("POST", f"{service}/rollback", {"revision": then["revision"]}))
    assert back["state"] == "success", back
    found = docker.one(name)
    assert found["Config"]["Image"] == image
    assert "SECRET=undo-secret-a" in found["Config"]["Env"]
    assert [mount["Destination"] for mount in found["Mounts"]] == ["/data"]
    assert found["HostConfig"]["PortBindings"]["80/tcp"][0]["HostPort"] == str(ports[0]["node_port"])
    assert api.call("GET", service)["revision"] == then["revision"] + 3
    newest = api.call("GET", f"{service}/revisions?limit=1")["revisions"][0]
    assert {change["attribute"] for change in newest["changes"]} == {"image", "secrets", "volumes", "ports", "mounts"}
    assert "undo-secret" not in str(api.call("GET", f"{service}/revisions"))
    # What is gone is said, and nothing is touched.
    api.call("PUT", service, {"volumes": [], "secrets": []})
    api.deploy(name)
    before = docker.running(name)
    api.call("DELETE", f"/v1/secrets/{api.grid}/UNDO_A")
    soon(lambda: api.request("DELETE", f"/v1/volumes/{api.grid}/undo-data").status_code == 200)
    refused = api.call("POST", f"{service}/rollback", {"revision": then["revision"]}, status=422)
    assert refused["error"] == {
        "secrets": ["Secret UNDO_A does not exist"],
        "volumes": ["Volume undo-data does not exist any more"],
    }
    assert docker.running(name) == before
    api.call("DELETE", f"/v1/secrets/{api.grid}/UNDO_B")
