"""`deploy_opts.rollback`: a failed deploy is followed by one that brings the last good revision back."""

from collections.abc import Iterator

import pytest

from tests.support.containers import Docker
from tests.support.suite import Api, soon

FAILING = {"pre_start": [{"name": "check", "cmd": "exit 3", "instances": "*"}]}


@pytest.fixture
def name(api: Api, docker: Docker, image: str) -> Iterator[str]:
    """A service with two instances of its first revision, which runs."""
    body = {
        "name": "careful",
        "image": image,
        "stateful": False,
        "instances": 2,
        "cmd": ["sleep", "100000"],
        "env": ["VERSION=1"],
        "stop_grace_period": "0s",
        "deploy_opts": {"rollback": True},
    }
    created = str(api.call("POST", f"/v1/grids/{api.grid}/services", body, status=201)["id"])
    api.deploy(created)
    yield created
    soon(lambda: api.request("DELETE", f"/v1/services/{created}").status_code in (200, 404))
    soon(lambda: docker.all(created) == [], message="its containers are gone")


def failed(api: Api, name: str) -> str:
    """Deploy and expect an error; returns its reason."""
    deploy = api.deployed(name, api.call("POST", f"/v1/services/{name}/deploy", {}))
    assert deploy["state"] == "error", deploy
    return str(deploy["reason"])


def versions(docker: Docker, name: str) -> dict[str, str]:
    """The variable VERSION of each running container, by name."""
    found = {}
    for entry in docker.all(name):
        if entry["State"]["Running"]:
            [found[entry["Name"].lstrip("/")]] = [
                item.removeprefix("VERSION=") for item in entry["Config"]["Env"] if item.startswith("VERSION=")
            ]
    return found


def events(api: Api, name: str) -> list[str]:
    """What is told about deploys of the service, oldest first."""
    found = api.call("GET", f"/v1/services/{name}/event_logs?limit=200")["logs"]
    return [str(event["message"]) for event in found if event["type"] == "service:deploy"]


def test_what_a_failed_deploy_changed_is_brought_back_and_nothing_else_is_touched(
    api: Api, docker: Docker, name: str
) -> None:
    before = docker.running(name)
    api.call("PUT", f"/v1/services/{name}", {"env": ["VERSION=2"], "hooks": FAILING})
    reason = failed(api, name)
    assert "careful-1 on node local-node" in reason
    assert reason.endswith("; rolling back to revision 1")
    soon(lambda: versions(docker, name) == {"careful-1": "1", "careful-2": "1"}, message="all is as before")
    after = docker.running(name)
    assert after["careful-2"] == before["careful-2"], "the instance that the deploy had not reached"
    assert after["careful-1"] != before["careful-1"], "the one whose container the deploy had removed"
    soon(lambda: events(api, name)[-1] == "deploy of null/careful finished", message="the rollback ended")
    assert "null/careful goes back to its last good revision" in events(api, name)
    # The service still says what the user asked for; the next good deploy brings that about.
    assert api.call("GET", f"/v1/services/{name}")["env"] == ["VERSION=2"]
    api.call("PUT", f"/v1/services/{name}", {"hooks": {"pre_start": []}})
    api.deploy(name)
    assert versions(docker, name) == {"careful-1": "2", "careful-2": "2"}


def test_a_bad_image_is_rolled_back_without_touching_a_container(api: Api, docker: Docker, name: str) -> None:
    before = docker.running(name)
    api.call("PUT", f"/v1/services/{name}", {"image": "127.0.0.1:1/nowhere:1"})
    assert "rolling back to revision 1" in failed(api, name)
    soon(lambda: events(api, name)[-1] == "deploy of null/careful finished", message="the rollback ended")
    assert docker.running(name) == before
