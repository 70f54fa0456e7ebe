"""The main job on the suite in containers, by each of its gateways, with an agent in a container as well."""

from tests.support.containers import Docker
from tests.support.journey import whole_way
from tests.support.suite import Api


def test_a_service_goes_its_whole_way_by_each_gateway(apis: list[Api], docker: Docker) -> None:
    assert len(apis) == 2
    for api in apis:
        [node] = api.call("GET", f"/v1/grids/{api.grid}/nodes")["nodes"]
        whole_way(api, docker, node["name"], "kontena/busybox:1")
