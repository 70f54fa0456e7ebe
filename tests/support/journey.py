"""The main job of the product, whatever it runs on."""

import uuid

from tests.support.containers import Docker
from tests.support.suite import Api, soon

SCRIPT = 'trap exit TERM; echo "started $HOSTNAME with $PASSWORD" | tr a-z A-Z; sleep 100000 & wait'


def whole_way(api: Api, docker: Docker, node: str, image: str) -> None:
    """A secret, a service that gets it, a deploy, its log, a command inside, three instances, and nothing left of it.
    `node` is the only node of the client's grid."""
    name = f"way-{uuid.uuid4().hex[:6]}"
    secret = name.upper().replace("-", "_")
    api.call("POST", f"/v1/grids/{api.grid}/secrets", {"name": secret, "value": "sesame"}, status=201)
    created = api.call(
        "POST",
        f"/v1/grids/{api.grid}/services",
        {
            "name": name,
            "image": image,
            "stateful": False,
            "cmd": ["sh", "-c", SCRIPT],
            "secrets": [{"secret": secret, "name": "PASSWORD"}],
        },
        status=201,
    )
    service, path = created["id"], f"/v1/services/{created['id']}"
    api.deploy(service)
    assert set(docker.running(service)) == {f"{name}-1"}

    def logged() -> bool:
        logs = api.call("GET", f"{path}/container_logs")["logs"]
        return any(f"STARTED {name.upper()}-1 WITH SESAME" in line["data"] for line in logs)

    soon(logged, message="the line of the container is in the log")
    answer = api.request("POST", f"/v1/containers/{api.grid}/{node}/{name}-1/exec", {"cmd": ["echo", "inside"]})
    assert answer.json() == [["inside\n"], [], 0]

    kept = docker.running(service)[f"{name}-1"]
    scaled = api.deployed(service, api.call("POST", f"{path}/scale", {"instances": 3}))
    assert scaled["state"] == "success", scaled
    assert docker.running(service)[f"{name}-1"] == kept, "scaling touches no running container"

    api.call("DELETE", path)
    soon(lambda: docker.all(service) == [], message="nothing is left")
    api.call("DELETE", f"/v1/secrets/{api.grid}/{secret}")
