"""What scaling does to containers: those that run stay, those that do not are repaired."""

from typing import Any

from tests.e2e.pods import service
from tests.support.containers import Docker
from tests.support.suite import Api, soon


def scaled(api: Api, name: str, instances: int) -> dict[str, Any]:
    deploy = api.deployed(name, api.call("POST", f"/v1/services/{name}/scale", {"instances": instances}))
    assert deploy["state"] == "success", deploy
    told = sorted((item["instance_number"], item["state"]) for item in deploy["instance_deploys"])
    assert told == [(number, "success") for number in range(1, instances + 1)]
    return deploy


def instances(api: Api, name: str) -> dict[int, dict[str, Any]]:
    found = api.call("GET", f"/v1/services/{name}/instances")["instances"]
    return {item["instance_number"]: item for item in found}


def test_containers_that_run_stay_and_their_node_hears_nothing(api: Api, docker: Docker, image: str) -> None:
    with service(api, "elastic", image, instances=2) as name:
        api.deploy(name)
        before, containers = instances(api, name), docker.running(name)
        scaled(api, name, 3)
        grown = docker.running(name)
        assert set(grown) == {"elastic-1", "elastic-2", "elastic-3"}
        assert {key: grown[key] for key in containers} == containers
        assert {number: instances(api, name)[number] for number in before} == before
        scaled(api, name, 1)
        soon(lambda: set(docker.running(name)) == {"elastic-1"}, message="the others are gone")
        assert docker.running(name)["elastic-1"] == containers["elastic-1"]
        assert instances(api, name) == {1: before[1]}


def test_one_that_does_not_run_is_repaired(api: Api, docker: Docker, image: str) -> None:
    with service(api, "halted", image, instances=2) as name:
        api.deploy(name)
        containers, before = docker.running(name), instances(api, name)
        docker.command("pause", "halted-2")
        soon(
            lambda: "paused by hand" in str(instances(api, name)[2].get("error")),
            message="the node tells what is wrong",
        )
        deploy = scaled(api, name, 2)
        after = instances(api, name)
        assert after[1]["deploy_rev"] == before[1]["deploy_rev"]
        assert after[2]["deploy_rev"] > before[2]["deploy_rev"]
        assert (after[2]["state"], after[2].get("error")) == ("running", None)
        assert [item["instance_number"] for item in deploy["instance_deploys"]] == [1, 2]
        assert docker.command("inspect", "-f", "{{.State.Paused}}", "halted-1", "halted-2").split() == ["false"] * 2
        assert docker.running(name) == containers, "it goes on where it was"
