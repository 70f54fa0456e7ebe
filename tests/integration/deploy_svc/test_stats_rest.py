"""Samples of containers over REST (docs/spec/deploy_rest.md section 9)."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from kontena.deploy.v1 import stats_pb2 as pb
from kontena.deploy.v1 import stats_pb2_grpc
from services.deploy_svc.store import services
from services.kernel.db import Database
from tests.integration.deploy_svc.agents import START, node_metadata, placed
from tests.integration.deploy_svc.container_agents import ContainerRest, container, container_pusher
from tests.integration.deploy_svc.rest import Answer, Rest
from tests.integration.deploy_svc.stand_ins import GRID, NODE_1, Neighbours
from tests.support.eventually import eventually
from tests.support.running import Running

SERVICE = "g1/null/web"


@pytest.fixture
def ask(deploy: Running) -> ContainerRest:
    return ContainerRest(deploy.channel)


@pytest.fixture
async def service_id(rest: Rest, deploy: Running, deploy_db: Database, deploy_neighbours: Neighbours) -> str:
    """The service `web` with two containers on node-a."""
    deploy_neighbours.grids.put_node(NODE_1, "node-a", 1)
    await rest.created()
    async with deploy_db.read() as tx:
        found = await services.find(tx, GRID, "null", "web")
    assert found is not None
    await placed(deploy_db, found.id, NODE_1)
    async with container_pusher(deploy.channel) as pusher:
        await pusher.snapshot(container("web-1", found.id), container("web-2", found.id), container("plain"))
    return found.id


def sample(name: str, cpu: float, memory: float, *, at: float = 0.0, rx: float = 0.0) -> pb.ContainerSample:
    found = pb.ContainerSample(
        container_id=container(name).container_id,
        cpu=pb.CpuStats(usage=cpu, limit=1024, num_cores=2),
        memory=pb.MemoryStats(usage=memory, limit=1000),
        network=pb.NetworkStats(
            external=pb.InterfaceStats(interfaces=["eth0"], rx_bytes=rx, rx_bytes_per_second=5, tx_bytes=7)
        ),
    )
    found.time.FromDatetime(START + timedelta(seconds=at))
    return found


async def push(deploy: Running, *samples: pb.ContainerSample) -> None:
    stub: Any = stats_pb2_grpc.StatsIngestServiceStub(deploy.channel)
    await stub.PushStats(pb.PushStatsRequest(samples=samples), metadata=node_metadata())


def shown(answer: Answer) -> list[str]:
    assert answer.status == 200, answer
    return [item["container_id"] for item in answer.body["stats"]]


async def test_the_newest_samples_of_running_containers(ask: ContainerRest, deploy: Running, service_id: str) -> None:
    assert (await ask("ListServiceStats", pb.ListServiceStatsRequest(id=SERVICE))).body == {
        "stats": [{"container_id": "web-1"}, {"container_id": "web-2"}]
    }
    await push(deploy, sample("web-1", 1.0, 10.0), sample("web-2", 55.5, 20.0, rx=9), sample("unknown", 1, 1))
    await push(deploy, sample("web-1", 5.0, 300.0, at=60, rx=3))
    answer = await ask("ListServiceStats", pb.ListServiceStatsRequest(id=SERVICE))
    assert shown(answer) == ["web-2", "web-1"]
    external = {
        "interfaces": ["eth0"], "rx_bytes": 3, "rx_bytes_per_second": 5, "tx_bytes": 7, "tx_bytes_per_second": 0,
    }  # fmt: skip
    internal = {"interfaces": [], **dict.fromkeys(list(external)[1:], 0)}
    assert answer.body["stats"][1] == {
        "container_id": "web-1", "cpu": {"usage": 5.0, "limit": 1024, "num_cores": 2},
        "memory": {"usage": 300.0, "limit": 1000.0}, "network": {"internal": internal, "external": external},
    }  # fmt: skip
    for sort, order in {
        "memory": ["web-1", "web-2"],
        "rx_bytes": ["web-2", "web-1"],
        "odd": ["web-2", "web-1"],
    }.items():
        request = pb.ListServiceStatsRequest(id=SERVICE, sort=sort)
        assert shown(await ask("ListServiceStats", request)) == order
    assert shown(await ask("ListServiceStats", pb.ListServiceStatsRequest(id=SERVICE, limit="1"))) == ["web-2"]
    assert sorted(shown(await ask("ListGridStats", pb.ListGridStatsRequest(grid="g1")))) == ["plain", "web-1", "web-2"]

    async def of_node() -> bool:
        return len(shown(await ask("ListNodeStats", pb.ListNodeStatsRequest(id="g1/node-a")))) == 3

    await eventually(of_node)


async def test_metrics_are_averages_per_container_summed_up(
    ask: ContainerRest, deploy: Running, service_id: str
) -> None:
    await push(
        deploy,
        sample("web-1", 10, 100, at=1),
        sample("web-1", 20, 200, at=30),
        sample("web-2", 1.111, 50, at=30),
        sample("web-2", 4, 40, at=61),
    )
    request = pb.GetServiceMetricsRequest(id=SERVICE, to="2026-11-01T12:30:00Z", **{"from": "2026-11-01T12:00:00"})
    answer = await ask("GetServiceMetrics", request)
    assert answer.status == 200, answer
    assert (answer.body["from"], answer.body["to"]) == ("2026-11-01T12:00:00.001Z", "2026-11-01T12:30:00.001Z")
    first, second = answer.body["stats"]
    assert first["timestamp"] == "2026-11-01T12:00:00.001Z"
    assert first["cpu"] == {"used": 16.11, "cores": 2}
    assert first["memory"] == {
        "used": 200.0, "total": 2000.0, "free": 0.0, "active": 0.0, "inactive": 0.0, "cached": 0.0, "buffers": 0.0,
    }  # fmt: skip
    assert first["network"]["external"]["tx_bytes"] == 14
    assert first["network"]["external"]["interfaces"] == ["eth0"]
    assert (second["timestamp"], second["cpu"]["used"]) == ("2026-11-01T12:01:00.001Z", 4.0)
    assert (await ask("GetServiceMetrics", pb.GetServiceMetricsRequest(id=SERVICE))).body["stats"] == []


async def test_refusals(ask: ContainerRest, service_id: str) -> None:
    for method, request, status in (
        ("GetServiceMetrics", pb.GetServiceMetricsRequest(id=SERVICE, to="soon"), 400),
        ("GetServiceMetrics", pb.GetServiceMetricsRequest(id="g1/null/x"), 404),
        ("ListServiceStats", pb.ListServiceStatsRequest(id="g1/null/x"), 404),
        ("ListServiceStats", pb.ListServiceStatsRequest(id="g2/null/web"), 403),
        ("ListGridStats", pb.ListGridStatsRequest(grid="nope"), 404),
        ("ListNodeStats", pb.ListNodeStatsRequest(id="g1/nowhere"), 404),
        ("ListNodeStats", pb.ListNodeStatsRequest(id="g2/node-a"), 403),
    ):
        answer = await ask(method, request)
        assert (answer.status, list(answer.body)) == (status, ["error"]), (method, request)


async def test_stats_take_a_constant_number_of_statements(
    ask: ContainerRest, service_id: str, deploy_queries: Callable[[str], Any]
) -> None:
    with deploy_queries("ListGridStats") as statements:
        await ask("ListGridStats", pb.ListGridStatsRequest(grid="g1"))
    assert len(statements) == 1
