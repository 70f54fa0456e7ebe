"""Containers of a running service through the gateway: mirror, inspect, top, exec, logs, events."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.support.containers import Docker
from tests.support.suite import Api, soon


@pytest.fixture(scope="module")
def service(api: Api, image: str) -> Iterator[str]:
    """A service with one running instance that knows a secret."""
    api.call("POST", f"/v1/grids/{api.grid}/secrets", {"name": "BOX_PW", "value": "never-shown"}, status=201)
    body = {
        "name": "box",
        "image": image,
        "stateful": False,
        "cmd": ["sh", "-c", "echo ready; exec sleep 1000"],
        "stop_grace_period": "0s",
        "secrets": [{"secret": "BOX_PW", "name": "PW", "type": "env"}],
    }
    made = api.call("POST", f"/v1/grids/{api.grid}/services", body, status=201)["id"]
    api.deploy(made)
    yield made
    api.call("DELETE", f"/v1/services/{made}")
    api.call("DELETE", f"/v1/secrets/{api.grid}/BOX_PW")


@pytest.fixture(scope="module")
def box(api: Api, service: str) -> str:
    """Path of its container."""

    def mirrored() -> str | None:
        found = api.call("GET", f"/v1/services/{service}/containers")["containers"]
        return found[0]["id"] if found and found[0]["status"] == "running" else None

    return soon(mirrored, message="the container is in the mirror")


def test_the_container_is_shown_without_its_secret(api: Api, docker: Docker, service: str, box: str) -> None:
    shown = api.call("GET", f"/v1/containers/{box}")
    assert shown["container_id"] == docker.one(service)["Id"]
    assert (shown["name"], shown["service_id"], shown["instance_number"]) == ("box-1", service, 1)
    assert shown["node"]["name"] == "local-node"
    assert shown["network_settings"]["ip_address"]
    assert box in [item["id"] for item in api.call("GET", f"/v1/containers/{api.grid}")["containers"]]
    inspected = api.call("GET", f"/v1/containers/{box}/inspect")
    assert inspected["Id"] == shown["container_id"]
    assert "never-shown" not in json.dumps([shown, inspected])


def test_top_and_exec(api: Api, box: str) -> None:
    top: Any = api.call("GET", f"/v1/containers/{box}/top")
    assert any("sleep 1000" in str(process) for process in top)
    answer: Any = api.call("POST", f"/v1/containers/{box}/exec", {"cmd": ["sh", "-c", "echo a; echo b >&2; exit 3"]})
    assert ["".join(answer[0]), "".join(answer[1]), answer[2]] == ["a\n", "b\n", 3]
    assert api.call("POST", f"/v1/containers/{box}/exec", {}, status=422) == {"error": {"cmd": "Cmd is required"}}
    missing = f"/v1/containers/{api.grid}/local-node/none"
    assert api.call("GET", missing, status=404) == {"error": "Not found"}
    assert api.call("POST", f"{missing}/exec", {"cmd": ["ls"]}, status=404) == {"error": "Not found"}
    assert api.call("GET", f"{missing}/inspect", status=404) == {"error": "Not found"}


def test_logs_by_container_stack_and_grid(api: Api, box: str) -> None:
    for path in (
        f"/v1/containers/{box}/logs",
        f"/v1/stacks/{api.grid}/null/container_logs?container=box-1",
        f"/v1/grids/{api.grid}/container_logs?services=null/box&nodes=local-node",
    ):
        soon(lambda path=path: [i["data"] for i in api.call("GET", path)["logs"]] == ["ready"], message=path)


def test_stats_and_metrics_come_from_the_container(api: Api, service: str, box: str) -> None:
    busy = ["sh", "-c", "i=0; while [ $i -lt 400000 ]; do i=$((i+1)); done"]
    api.call("POST", f"/v1/containers/{box}/exec", {"cmd": busy})

    def measured() -> dict[str, Any] | None:
        (found,) = api.call("GET", f"/v1/services/{service}/stats?sort=memory&limit=1")["stats"]
        return found if "memory" in found else None

    stats = soon(measured, message="the container is measured")
    assert stats["container_id"] == "box-1"
    assert 0 < stats["memory"]["usage"] < stats["memory"]["limit"]
    assert stats["cpu"]["num_cores"] >= 1
    assert stats["network"]["internal"] is not None
    (minute, *_) = soon(lambda: api.call("GET", f"/v1/services/{service}/metrics")["stats"])
    assert minute["memory"]["used"] > 0
    assert minute["cpu"]["cores"] >= 1
    for path in (f"/v1/grids/{api.grid}/stats", f"/v1/nodes/{api.grid}/local-node/stats"):
        assert "box-1" in [item["container_id"] for item in api.call("GET", path)["stats"]]


def test_no_line_is_lost_between_start_and_exit(api: Api, image: str) -> None:
    """Two hundred lines of a program that ends at once, from its first words to its last."""
    script = "i=0; while [ $i -lt 200 ]; do i=$((i+1)); echo line $i; done; echo bye >&2"
    body = {"name": "brief", "image": image, "stateful": False, "cmd": ["sh", "-c", script], "stop_grace_period": "0s"}
    service = api.call("POST", f"/v1/grids/{api.grid}/services", body, status=201)["id"]
    try:
        api.deployed(service, api.call("POST", f"/v1/services/{service}/deploy", {}))

        def first_run() -> list[str]:
            found = api.call("GET", f"/v1/services/{service}/container_logs?limit=5000")["logs"]
            lines = [item["data"] for item in found if item["type"] == "stdout"]
            said = [item["data"] for item in found if item["type"] == "stderr"]
            return lines if "bye" in said and len(lines) >= 200 else []

        lines = soon(first_run, message="the lines of a whole run")
        assert lines[:200] == [f"line {number}" for number in range(1, 201)]
    finally:
        api.call("DELETE", f"/v1/services/{service}")


def test_instances_are_shown_with_their_node(api: Api, service: str) -> None:
    (instance,) = api.call("GET", f"/v1/services/{service}/instances")["instances"]
    assert (instance["state"], instance["node"]["name"]) == ("running", "local-node")
    assert api.call("GET", f"/v1/services/{service}/instances/{instance['id']}")["id"] == instance["id"]
    assert api.call("GET", f"/v1/services/{service}/instances/foo", status=404) == {"error": "Not found"}


def test_a_secret_written_before_its_service_causes_no_second_deploy(api: Api, service: str, box: str) -> None:
    """Nobody is told late of a value that the service has already."""

    expected = ["deploy of null/box started: 1 instances", "deploy of null/box finished"]

    def told() -> bool:
        found = api.call("GET", f"/v1/services/{service}/event_logs")["logs"]
        assert [item["message"] for item in found if item["type"] == "service:deploy"] == expected
        return True

    soon(told, message="both events of one deploy")


def test_events_tell_the_deploy_and_reach_a_follower(api: Api, service: str) -> None:
    def types() -> set[str]:
        return {item["type"] for item in api.call("GET", f"/v1/services/{service}/event_logs")["logs"]}

    soon(lambda: types() >= {"service:deploy", "service:create_instance"})
    last = api.call("GET", f"/v1/grids/{api.grid}/event_logs?limit=1")["logs"][-1]["id"]
    url = f"{api.url}/v1/grids/{api.grid}/event_logs?follow=1&from={last}"
    with httpx.stream("GET", url, headers={"Authorization": f"Bearer {api.token}"}, timeout=60) as answer:
        events = (json.loads(line) for line in answer.iter_lines() if line.strip())
        api.call("POST", f"/v1/services/{service}/deploy", {})
        # Those of services that tests before removed may still come in between.
        assert any((event["type"], "null/box" in event["message"]) == ("service:deploy", True) for event in events)
