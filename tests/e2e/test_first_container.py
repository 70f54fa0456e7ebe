"""The main job: with two commands and curl-like calls, a real container runs and is kept as asked."""

import json
import threading

import httpx
import pytest

from tests.support.containers import Docker
from tests.support.ports import free_port
from tests.support.suite import PROCESSES, Api, Suite, soon

PORT = free_port()
SCRIPT = 'echo "started $HOSTNAME"; echo "answer of $HOSTNAME $GREETING" > /index.html; exec httpd -f -p 8080 -h /'


@pytest.fixture
def web(api: Api, image: str) -> str:
    """A service that answers HTTP with its own host name."""
    name = "journey"
    body = {
        "name": name,
        "image": image,
        "stateful": False,
        "cmd": ["sh", "-c", SCRIPT],
        "stop_grace_period": "1s",
        "env": ["GREETING=hi"],
        "ports": [{"ip": "127.0.0.1", "node_port": str(PORT), "container_port": "8080"}],
        "deploy_opts": {"wait_for_port": 8080},
    }
    created = api.call("POST", f"/v1/grids/{api.grid}/services", body, status=201)
    assert created["state"] == "initialized"
    assert created["instance_counts"] == {"total": 0, "running": 0}
    return str(created["id"])


def test_a_service_goes_its_whole_way_and_docker_agrees_at_each_step(api: Api, docker: Docker, web: str) -> None:
    path = f"/v1/services/{web}"
    assert docker.running(web) == {}

    deploy = api.deploy(web)
    assert [i["state"] for i in deploy["instance_deploys"]] == ["success"]
    assert set(docker.running(web)) == {"journey-1"}
    assert httpx.get(f"http://127.0.0.1:{PORT}/", timeout=60).text.strip() == "answer of journey-1 hi"

    def log_lines() -> list[str]:
        return [item["data"] for item in api.call("GET", f"{path}/container_logs")["logs"]]

    soon(lambda: "started journey-1" in log_lines(), message="the first line of the container is in the logs")

    first = docker.running(web)["journey-1"]
    api.deploy(web)
    assert docker.running(web)["journey-1"] == first, "a deploy without changes touches nothing"

    api.call("PUT", path, {"ports": []})
    scaled = api.deployed(web, api.call("POST", f"{path}/scale", {"instances": "3"}))
    assert scaled["state"] == "success", scaled
    assert set(docker.running(web)) == {"journey-1", "journey-2", "journey-3"}
    soon(lambda: api.call("GET", path)["instance_counts"] == {"total": 3, "running": 3})

    api.call("POST", f"{path}/stop", {})
    soon(lambda: docker.running(web) == {}, message="all instances are stopped")
    assert api.call("GET", path)["state"] == "stopped"

    api.call("POST", f"{path}/start", {})
    soon(lambda: len(docker.running(web)) == 3, message="all instances run again")

    before = docker.running(web)
    api.call("POST", f"{path}/restart", {})
    soon(lambda: all(docker.running(web).get(n, before[n]) != before[n] for n in before), message="all restarted")

    api.call("DELETE", path)
    soon(lambda: docker.all(web) == [], message="no container is left")
    soon(lambda: api.request("GET", path).status_code == 404, message="nor the service")


def test_new_lines_reach_a_follower_while_it_waits(api: Api, image: str) -> None:
    script = "i=0; while true; do i=$((i+1)); echo tick $i; sleep 0.3; done"
    service = api.call(
        "POST",
        f"/v1/grids/{api.grid}/services",
        {"name": "ticker", "image": image, "stateful": False, "cmd": ["sh", "-c", script], "stop_grace_period": "0s"},
        status=201,
    )["id"]
    api.deploy(service)
    seen: list[dict[str, str]] = []
    done = threading.Event()

    def follow() -> None:
        headers = {"Authorization": f"Bearer {api.token}"}
        url = f"{api.url}/v1/services/{service}/container_logs?follow=1&limit=1"
        with httpx.stream("GET", url, headers=headers, timeout=60) as answer:
            assert answer.headers["content-type"].startswith("application/json")
            for line in answer.iter_lines():
                if line.strip():
                    seen.append(json.loads(line))
                if len(seen) >= 5:
                    done.set()
                    return

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    assert done.wait(120), seen
    thread.join(60)
    numbers = [int(item["data"].split()[1]) for item in seen]
    assert numbers == list(range(numbers[0], numbers[0] + 5)), "in order, none lost, none twice"
    assert [item["id"] for item in seen] == sorted(item["id"] for item in seen)
    api.call("DELETE", f"/v1/services/{service}")


def test_the_local_node_is_online_with_the_facts_of_this_machine(api: Api) -> None:
    [node] = api.call("GET", f"/v1/grids/{api.grid}/nodes")["nodes"]
    assert (node["name"], node["status"], node["connected"]) == ("local-node", "online", True)
    assert node["cpus"] >= 1
    assert node["docker_version"]
    usage = soon(lambda: api.call("GET", f"/v1/nodes/{node['id']}").get("resource_usage"))
    assert usage["memory"]["total"] > 0
    assert node["engine_root_dir"] in {entry["name"] for entry in usage["filesystem"]}


def test_a_grid_is_created_changed_and_deleted(api: Api) -> None:
    grid = api.call("POST", "/v1/grids", {"name": "e2e-grid", "initial_size": "3"}, status=201)
    assert (grid["id"], grid["initial_size"], len(grid["token"])) == ("e2e-grid", 3, 88)
    changed = api.call("PUT", "/v1/grids/e2e-grid", {"trusted_subnets": ["10.240.0.0/16"]})
    assert changed["trusted_subnets"] == ["10.240.0.0/16"]
    assert "e2e-grid" in [g["name"] for g in api.call("GET", "/v1/grids")["grids"]]
    assert api.call("DELETE", "/v1/grids/e2e-grid") == {}
    api.call("GET", "/v1/grids/e2e-grid", status=404)


def test_a_second_make_up_changes_nothing(suite: Suite) -> None:
    before = {name: suite.pids(name) for name in PROCESSES}
    assert all(before.values()), before
    suite.make("up")
    assert {name: suite.pids(name) for name in PROCESSES} == before
