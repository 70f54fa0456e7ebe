"""`make down` stops the containers as well, and the next `make up` brings them back."""

import pytest

from tests.support.containers import Docker
from tests.support.suite import Api, Suite, soon


@pytest.mark.heavy
def test_containers_go_with_make_down_and_return_with_make_up(
    suite: Suite, api: Api, docker: Docker, image: str
) -> None:
    secret = f"/v1/secrets/{api.grid}/RESTING"
    api.call("PUT", secret, {"value": "kept with the key", "upsert": True}, status=201)
    body = {"name": "resting", "image": image, "stateful": False, "cmd": ["sleep", "100000"], "instances": 2}
    body |= {"secrets": [{"secret": "RESTING", "name": "RESTING"}]}
    resting = str(api.call("POST", f"/v1/grids/{api.grid}/services", body, status=201)["id"])
    api.deploy(resting)
    before = docker.running(resting)
    suite.make("down")
    try:
        assert docker.all(resting) == []
    finally:
        suite.make("up")
    soon(lambda: len(docker.running(resting)) == 2, message="the containers are back")
    assert docker.running(resting).keys() == before.keys()
    assert api.call("GET", f"/v1/services/{resting}")["state"] == "running"
    # The key of the vault was generated once: what it encrypted can be read.
    assert api.call("GET", secret)["value"] == "kept with the key"
    assert all("RESTING=kept with the key" in container["Config"]["Env"] for container in docker.all(resting))
    api.call("DELETE", f"/v1/services/{resting}")
    api.call("DELETE", secret)
    soon(lambda: docker.all(resting) == [])
