"""`make down` stops the containers as well, and the next `make up` brings them back."""

from tests.support.containers import Docker
from tests.support.suite import Api, Suite, soon


def test_containers_go_with_make_down_and_return_with_make_up(
    suite: Suite, api: Api, docker: Docker, image: str
) -> None:
    body = {"name": "resting", "image": image, "stateful": False, "cmd": ["sleep", "100000"], "instances": 2}
    resting = str(api.call("POST", f"/v1/grids/{api.grid}/services", body, status=201)["id"])
    api.deploy(resting)
    before = docker.running(resting)
    suite.make("down")
    try:
        assert docker.all(resting) == []
    finally:
        suite.make("up")
    soon(lambda: len(docker.running(resting)) == 2, within=60, message="the containers are back")
    assert docker.running(resting).keys() == before.keys()
    assert api.call("GET", f"/v1/services/{resting}")["state"] == "running"
    api.call("DELETE", f"/v1/services/{resting}")
    soon(lambda: docker.all(resting) == [], within=30)
