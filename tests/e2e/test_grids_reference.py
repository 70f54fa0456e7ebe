"""The requests of the reference's section Grids, and those of the public client, replayed as documented."""

from collections.abc import Iterator

import pytest

from tests.e2e.raw import raw
from tests.support.suite import Api, soon

GRID = "my-grid"


@pytest.fixture
def grid(api: Api) -> Iterator[str]:
    api.call("POST", "/v1/grids", {"name": GRID, "initial-size": 3}, status=201)
    yield GRID
    for node in api.call("GET", f"/v1/grids/{GRID}/nodes")["nodes"]:
        api.call("DELETE", f"/v1/nodes/{node['id']}")
    api.call("DELETE", f"/v1/grids/{GRID}")


def test_grid_requests_of_the_reference(api: Api) -> None:
    body = '{\n\t"name": "my-grid", \n\t"initial-size": 3\n}'
    created = raw(api, "POST", "/v1/grids", body, Content_Type="application/json")
    assert created.status_code == 201
    grid = created.json()
    assert (grid["id"], grid["name"], grid["initial_size"], len(grid["token"])) == (GRID, GRID, 3, 88)
    assert (grid["stats"], grid["trusted_subnets"], grid["default_affinity"]) == ({}, [], [])
    assert (grid["subnet"], grid["supernet"], grid["user_count"]) == ("10.81.0.0/16", "10.80.0.0/12", 1)

    listed = raw(api, "GET", "/v1/grids").json()["grids"]
    assert GRID in [each["id"] for each in listed]
    updated = raw(
        api, "PUT", "/v1/grids/my-grid", '{\n\t"trusted_subnets": ["10.240.0.0/16"]\n}', Content_Type="application/json"
    )
    assert (updated.status_code, updated.json()["trusted_subnets"]) == (200, ["10.240.0.0/16"])
    found = raw(api, "GET", "/v1/grids/my-grid")
    assert (found.status_code, found.json()["trusted_subnets"]) == (200, ["10.240.0.0/16"])
    removed = raw(api, "DELETE", "/v1/grids/my-grid")
    assert (removed.status_code, removed.json()) == (200, {})
    missing = raw(api, "GET", "/v1/grids/my-grid")
    assert (missing.status_code, missing.json()) == (404, {"error": "Not found"})


def test_grid_requests_of_the_public_client(api: Api, grid: str) -> None:
    path = f"/v1/grids/{grid}"
    full = {
        "stats": {"statsd": {"server": "192.0.2.1", "port": "8125"}},
        "logs": {"forwarder": "fluentd", "opts": {"fluentd-address": "foo"}},
        "default_affinity": ["label==x"],
    }
    changed = api.call("PUT", path, full)
    assert changed["stats"] == {"statsd": {"server": "192.0.2.1", "port": 8125}}
    assert (changed["logs"], changed["default_affinity"]) == (full["logs"], ["label==x"])
    clear = {"logs": {"forwarder": "none", "opts": {}}, "stats": {"statsd": None}, "default_affinity": []}
    cleared = api.call("PUT", path, clear)
    assert ("logs" in cleared, cleared["stats"], cleared["default_affinity"]) == (False, {}, [])
    assert api.call("GET", path)["initial_size"] == 3

    token = api.call("GET", path)["token"]
    assert api.call("PUT", f"{path}/token", {})["token"] != token
    assert api.call("PUT", f"{path}/token", {"token": "chosen-by-the-operator"})["token"] == "chosen-by-the-operator"


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        ({"name": "a b c"}, 422, {"name": "Name isn't in the right format"}),
        ({"name": "ab"}, 422, {"name": "Name is too short"}),
        ({"name": GRID}, 422, {"grid": f"Grid with name {GRID} already exists"}),
        ({"name": "x-grid", "initial_size": 8}, 422, {"initial_size": "Initial Size is too big"}),
        ({"name": "x-grid", "subnet": "foo"}, 422, {"subnet": "Invalid subnet foo"}),
        (
            {"name": "x-grid", "stats": {"statsd": {"server": "a"}}},
            422,
            {"stats": {"statsd": {"port": "Port is required"}}},
        ),
        ({"name": "x-grid", "logs": {"forwarder": "x"}}, 422, {"logs": {"forwarder": "Forwarder isn't an option"}}),
    ],
)
def test_error_rows(api: Api, grid: str, body: dict[str, object], status: int, error: object) -> None:
    assert api.call("POST", "/v1/grids", body, status=status) == {"error": error}


def test_a_grid_with_a_node_stays(api: Api, grid: str) -> None:
    api.call("POST", f"/v1/grids/{grid}/nodes", {"name": "ahead"}, status=201)
    assert api.call("DELETE", f"/v1/grids/{grid}", status=422) == {"error": {"grid": "Grid has nodes"}}


def test_metrics_of_the_local_grid(api: Api) -> None:
    minutes = soon(lambda: api.call("GET", f"/v1/grids/{api.grid}/metrics")["stats"])
    assert minutes[-1]["cpu"]["cores"] >= 1
    assert minutes[-1]["memory"]["total"] > minutes[-1]["memory"]["used"] > 0
    assert minutes[-1]["filesystem"]["total"] > 0
    outside = minutes[-1]["network"]["external"]
    assert outside["interfaces"]
    assert outside["rx_bytes"] >= 0 <= outside["tx_bytes_per_second"]
    [node] = api.call("GET", f"/v1/grids/{api.grid}/nodes")["nodes"]
    span = "from=2026-01-01T00:00:00+02:00&to=2199-01-01T00:00:00Z"
    found = api.call("GET", f"/v1/nodes/{node['id']}/metrics?{span}")
    assert (found["from"], bool(found["stats"])) == ("2025-12-31T22:00:00.001Z", True)
    api.call("GET", f"/v1/nodes/{node['id']}/metrics?from=yesterday", status=400)
