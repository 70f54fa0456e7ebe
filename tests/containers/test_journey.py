"""The main job on the suite in containers, with an agent in a container as well."""

from tests.support.containers import Docker
from tests.support.suite import Api, soon

SCRIPT = 'trap exit TERM; echo "started $HOSTNAME with $PASSWORD" | tr a-z A-Z; while :; do sleep 0.2; done'


def test_a_service_goes_its_whole_way(api: Api, docker: Docker) -> None:
    api.call("POST", f"/v1/grids/{api.grid}/secrets", {"name": "DB", "value": "sesame"}, status=201)
    created = api.call(
        "POST",
        f"/v1/grids/{api.grid}/services",
        {
            "name": "boxed",
            "image": "kontena/busybox:1",
            "stateful": False,
            "cmd": ["sh", "-c", SCRIPT],
            "secrets": [{"secret": "DB", "name": "PASSWORD"}],
        },
        status=201,
    )
    service, path = created["id"], f"/v1/services/{created['id']}"
    api.deploy(service)
    assert set(docker.running(service)) == {"boxed-1"}

    def logged() -> bool:
        logs = api.call("GET", f"{path}/container_logs")["logs"]
        return any("STARTED BOXED-1 WITH SESAME" in line["data"] for line in logs)

    soon(logged, message="the line of the container is in the log")
    answer = api.request("POST", f"/v1/containers/{api.grid}/boxed-node/boxed-1/exec", {"cmd": ["echo", "inside"]})
    assert answer.json() == [["inside\n"], [], 0]

    kept = docker.running(service)["boxed-1"]
    scaled = api.deployed(service, api.call("POST", f"{path}/scale", {"instances": 3}))
    assert scaled["state"] == "success", scaled
    assert docker.running(service)["boxed-1"] == kept, "scaling touches no running container"

    api.call("DELETE", path)
    soon(lambda: docker.all(service) == [], message="nothing is left")
