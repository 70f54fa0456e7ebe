"""A stack on the real suite: installed in link order, upgraded, a service removed, deleted; docker agrees."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.stacks import deployed
from tests.support.containers import Docker
from tests.support.suite import Api, soon

NAME = "e2e-shop"


@pytest.fixture
def path(api: Api) -> Iterator[str]:
    """The path of the stack, which is gone afterwards."""
    found = f"/v1/stacks/{api.grid}/{NAME}"
    yield found
    api.request("DELETE", found)
    soon(lambda: api.request("GET", found).status_code == 404)


def document(image: str, *names: str, **changed: Any) -> dict[str, Any]:
    """A document as the public command line sends it: nulls for what is not set."""
    services = [
        {
            "name": name,
            "image": image,
            "stateful": False,
            "instances": None,
            "env": None,
            "hooks": {},
            "log_opts": None,
            "links": [{"name": "db", "alias": "db"}] if name == "web" else [],
            "deploy_opts": {"wait_for_port": None, "min_health": None, "interval": None},
            "health_check": {"protocol": None, "uri": None, "port": None, "timeout": None},
            "cmd": ["sh", "-c", "trap exit TERM; sleep 100000 & wait"],
            "stop_grace_period": "2s",
            **changed.get(name, {}),
        }
        for name in names
    ]
    return {
        "name": NAME,
        "stack": "e2e/shop",
        "version": changed.get("version", "1"),
        "registry": "file://",
        "source": "",
        "expose": "web",
        "volumes": [],
        "dependencies": None,
        "variables": {},
        "metadata": {},
        "parent": None,
        "services": services,
    }


def test_a_stack_goes_its_whole_way_and_docker_agrees(api: Api, docker: Docker, image: str, path: str) -> None:
    stack_id = path.removeprefix("/v1/stacks/")
    first = document(image, "web", "db")
    plan = api.call("POST", f"/v1/grids/{api.grid}/stacks/plan", first)
    assert [(item["name"], item["action"]) for item in plan["services"]] == [("db", "create"), ("web", "create")]
    assert {place["node"] for item in plan["services"] for place in item["placements"]} == {"local-node"}
    api.call("GET", path, status=404)

    api.call("POST", f"/v1/grids/{api.grid}/stacks", first, status=201)
    deploy = deployed(api, path)
    assert [item["service_id"].rpartition("/")[2] for item in deploy["service_deploys"]] == ["db", "web"]
    assert api.call("GET", path)["state"] == "running"
    web, db = docker.one(f"{stack_id}/web"), docker.one(f"{stack_id}/db")
    assert web["Name"] == f"/{NAME}.web-1"
    assert web["Config"]["Labels"].get("io.kontena.service.exposed") == "1"
    assert db["State"]["StartedAt"] < web["State"]["StartedAt"]

    second = document(image, "web", "db", version="2", web={"env": ["GREETING=hi"]})
    changes = api.call("POST", f"{path}/plan", second)["services"]
    assert [(item["name"], item["action"]) for item in changes] == [("db", "keep"), ("web", "change")]
    assert api.call("PUT", path, second)["revision"] == 2
    deployed(api, path)
    assert docker.one(f"{stack_id}/db")["Id"] == db["Id"], "what did not change is left alone"
    upgraded = docker.one(f"{stack_id}/web")
    assert upgraded["Id"] != web["Id"]
    assert "GREETING=hi" in upgraded["Config"]["Env"]

    third = document(image, "db", version="3")
    third["expose"] = None
    api.call("PUT", path, third)
    deployed(api, path)
    api.call("GET", f"/v1/services/{stack_id}/web", status=404)
    soon(lambda: docker.all(f"{stack_id}/web") == [], message="no container of the removed service is left")
    assert docker.one(f"{stack_id}/db")["Id"] == db["Id"]

    assert api.call("DELETE", path) == {}
    soon(lambda: api.request("GET", path).status_code == 404, message="the stack goes away")
    soon(lambda: docker.all(f"{stack_id}/db") == [], message="no container is left")


def test_careful_clients_see_versions_through_the_gateway(api: Api, image: str, path: str) -> None:
    body = document(image, "web", "db")
    keyed = {"Idempotency-Key": "install-1"}
    made = api.request("POST", f"/v1/grids/{api.grid}/stacks", body, headers=keyed)
    again = api.request("POST", f"/v1/grids/{api.grid}/stacks", body, headers=keyed)
    assert (made.status_code, again.status_code, again.json()) == (201, 201, made.json())
    tag = api.request("GET", path).headers["etag"]
    changed = document(image, "web", "db", version="2")
    assert api.request("PUT", path, changed, headers={"If-Match": tag}).status_code == 200
    stale = api.request("PUT", path, body, headers={"If-Match": tag})
    assert (stale.status_code, stale.json()) == (412, {"error": "The resource changed since you read it"})
    assert api.call("GET", path)["version"] == "2"
    for other, body in (("grids", {"default_affinity": []}), ("nodes", {"labels": []})):
        found = f"/v1/{other}/{api.grid}" + ("/local-node" if other == "nodes" else "")
        tag = api.request("GET", found).headers["etag"]
        assert api.request("PUT", found, body, headers={"If-Match": f'{tag[:-1]}-old"'}).status_code == 412
        assert api.request("PUT", found, body, headers={"If-Match": tag}).status_code == 200


def test_a_volume_outlives_the_containers_that_use_it(api: Api, docker: Docker, image: str, path: str) -> None:
    volume = f"/v1/volumes/{api.grid}"
    api.call("POST", volume, {"name": "e2e-data", "scope": "stack", "driver": "local"}, status=201)
    try:
        body = document(image, "db", db={"volumes": ["data:/data"]})
        body |= {"expose": None, "volumes": [{"name": "data", "external": "e2e-data"}]}
        api.call("POST", f"/v1/grids/{api.grid}/stacks", body, status=201)
        deployed(api, path)
        stack_id = path.removeprefix("/v1/stacks/")
        mounts = docker.one(f"{stack_id}/db")["Mounts"]
        assert [(item["Name"], item["Destination"]) for item in mounts] == [(f"{NAME}.e2e-data", "/data")]
        shown = api.call("GET", f"{volume}/e2e-data")
        assert shown["instances"] == [{"node": "local-node", "name": f"{NAME}.e2e-data"}]
        assert shown["services"] == [{"id": f"{stack_id}/db"}]
        refused = api.request("DELETE", f"{volume}/e2e-data")
        assert (refused.status_code, list(refused.json()["error"])) == (422, ["e2e-data"])
    finally:
        api.request("DELETE", path)
        soon(lambda: api.request("GET", path).status_code == 404)
        soon(lambda: api.request("DELETE", f"{volume}/e2e-data").status_code == 200)
    soon(lambda: docker.command("volume", "ls", "-q", "--filter", f"name={NAME}.e2e-data") == "")
