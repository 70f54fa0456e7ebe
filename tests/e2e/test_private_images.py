"""An image of a registry that wants a login: from the REST request to the container."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.containers import Docker
from tests.support.engine import Engine
from tests.support.registry import PASSWORD, USER, Registry
from tests.support.suite import Api, soon


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    with Registry(tmp_path / "registry", login=True) as server:
        yield server


def test_a_private_image_is_pulled_with_the_login_of_the_grid(
    api: Api, docker: Docker, suite_engine: Engine, registry: Registry
) -> None:
    image = registry.push(suite_engine, "private/app:1", "private\n")
    body = {"name": "private", "image": image, "stateful": False, "stop_grace_period": "0s"}
    body |= {"cmd": ["sh", "-c", "cat /etc/marker; sleep 1000"]}
    service = api.call("POST", f"/v1/grids/{api.grid}/services", body, status=201)["id"]
    refused = api.deployed(service, api.call("POST", f"/v1/services/{service}/deploy", {}))
    assert refused["state"] == "error"
    assert f"image {image} cannot be pulled" in str(refused)

    login = {"url": f"http://{registry.address}/", "username": USER, "password": PASSWORD, "email": "bot@domain.com"}
    made = api.call("POST", f"/v1/grids/{api.grid}/external_registries", login, status=201)
    assert made["name"] == registry.address
    deploy = api.deploy(service)
    container = docker.one(service)
    assert (container["State"]["Running"], container["Config"]["Image"]) == (True, image)
    soon(lambda: docker.command("logs", container["Id"]) == "private\n", message="it says its marker")
    assert PASSWORD not in str([made, deploy, container])
    api.call("DELETE", f"/v1/services/{service}")
    api.call("DELETE", f"/v1/external_registries/{api.grid}/{registry.address}")
