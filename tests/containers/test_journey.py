"""The main job on the suite in containers, by each of its gateways, with an agent in a container as well."""

import json

from tests.support.containers import Docker
from tests.support.journey import whole_way
from tests.support.suite import Api, soon

# Only its owner reads the file, so that the line shows that it has the owner that was asked for.
SCRIPT = 'trap exit TERM; echo "$(id -u) reads $(cat /srv/key)" | tr a-z A-Z; sleep 100000 & wait'


def test_a_service_goes_its_whole_way_by_each_gateway(apis: list[Api], docker: Docker) -> None:
    assert len(apis) == 2
    for api in apis:
        [node] = api.call("GET", f"/v1/grids/{api.grid}/nodes")["nodes"]
        whole_way(api, docker, node["name"], "kontena/busybox:1")


def test_an_agent_in_a_container_gives_files_to_the_users_of_containers(apis: list[Api], docker: Docker) -> None:
    api = apis[0]
    api.call("POST", f"/v1/grids/{api.grid}/secrets", {"name": "KEY", "value": "sesame-in-a-file"}, status=201)
    body = {
        "name": "reader", "image": "kontena/busybox:1", "stateful": False, "user": "65534", "cmd": ["sh", "-c", SCRIPT],
        "secrets": [{"secret": "KEY", "type": "file", "path": "/srv/key", "mode": "0400", "uid": 65534}],
    }  # fmt: skip
    service = api.call("POST", f"/v1/grids/{api.grid}/services", body, status=201)["id"]
    api.deploy(service)

    def logged() -> bool:
        logs = api.call("GET", f"/v1/services/{service}/container_logs")["logs"]
        return any("65534 READS SESAME-IN-A-FILE" in line["data"] for line in logs)

    soon(logged, message="the line of the container is in the log")
    assert "sesame-in-a-file" not in json.dumps(docker.one(service)), "the engine does not know it"
    api.call("DELETE", f"/v1/services/{service}")
    soon(lambda: docker.all(service) == [], message="nothing is left")
    api.call("DELETE", f"/v1/secrets/{api.grid}/KEY")
