"""Containers as nodes report them, over REST (docs/spec/deploy_rest.md sections 5 and 10)."""

from collections.abc import Callable
from typing import Any

import grpc
import pytest
import sqlalchemy as sa

from kontena.deploy.v1 import container_pb2 as pb
from kontena.deploy.v1 import container_report_pb2 as report_pb
from kontena.deploy.v1 import instance_pb2
from services.deploy_svc.store import services, tables
from services.deploy_svc.store.container_tables import containers
from services.kernel.db import Database
from services.kernel.ids import new_id
from tests.integration.deploy_svc.agents import placed
from tests.integration.deploy_svc.container_agents import ContainerRest, container, container_pusher
from tests.integration.deploy_svc.rest import Rest
from tests.integration.deploy_svc.stand_ins import GRID, NODE_1, NODE_2, OTHER_GRID, Neighbours
from tests.support.eventually import eventually
from tests.support.running import Running

NODE_NOT_FOUND = "g1/nowhere/web-1"


@pytest.fixture
def ask(deploy: Running) -> ContainerRest:
    return ContainerRest(deploy.channel)


@pytest.fixture
async def service_id(rest: Rest, deploy_db: Database, deploy_neighbours: Neighbours, ask: ContainerRest) -> str:
    """The service `web` on a grid with the node `node-a`, which deploy_svc knows of."""
    deploy_neighbours.vault.values[GRID, "PW"] = "hidden"
    deploy_neighbours.grids.put_node(NODE_1, "node-a", 1, public_ip="1.2.3.4", labels=["zone=x"])

    await rest.created(secrets=[{"secret": "PW", "name": "DB_PASSWORD"}])
    async with deploy_db.read() as tx:
        found = await services.find(tx, GRID, "null", "web")
    assert found is not None
    await placed(deploy_db, found.id, NODE_1)
    return found.id


async def names(ask: ContainerRest, **query: Any) -> list[str]:
    answer = await ask("ListContainers", pb.ListContainersRequest(grid="g1", **query))
    assert answer.status == 200, answer
    return [item["name"] for item in answer.body["containers"]]


async def known(ask: ContainerRest, path: str = "g1/node-a/web-1") -> dict[str, Any]:
    async def found() -> dict[str, Any] | None:
        answer = await ask("GetContainer", pb.GetContainerRequest(id=path))
        return answer.body if answer.status == 200 else None

    return await eventually(found) or {}


async def test_a_reported_container_is_shown_completely(ask: ContainerRest, deploy: Running, service_id: str) -> None:
    reported = container(
        service_id=service_id,
        env=["A=1", "KONTENA_NODE_NAME=node-a"],
        domainname="g1.kontena.local",
        image_version="sha256:1",
        network=pb.ContainerNetwork(ip_address="10.1.0.5", ip_prefix_len=16, gateway="10.1.0.1"),
        ports=[
            report_pb.PortBinding(container_port="80/tcp", node_ip="127.0.0.1", node_port=8080),
            report_pb.PortBinding(container_port="81/tcp"),
        ],
        volumes=[pb.ContainerVolume(container="/data", node="/srv")],
    )
    async with container_pusher(deploy.channel) as pusher:
        await pusher.snapshot(reported)
    shown = await known(ask)
    assert shown.pop("updated_at")
    assert shown.pop("node") == {
        "id": "engine-node-a", "connected": True, "name": "node-a", "labels": ["zone=x"], "public_ip": "1.2.3.4",
        "node_number": 1, "grid": {"id": "g1", "name": "g1", "initial_size": 0},
    }  # fmt: skip
    assert shown == {
        "id": "g1/node-a/web-1", "name": "web-1", "container_id": reported.container_id, "grid_id": "g1",
        "service_id": "g1/null/web", "created_at": "2026-11-01T12:00:00.001Z", "started_at": "2026-11-01T12:00:00.001Z",
        "status": "running", "deploy_rev": "r1", "service_rev": "3", "instance_number": 1, "image": "busybox:1",
        "image_version": "sha256:1", "hostname": "web-1", "domainname": "g1.kontena.local", "cmd": ["httpd", "-f"],
        "env": ["A=1", "KONTENA_NODE_NAME=node-a"], "ip_address": "10.1.0.5",
        "volumes": [{"container": "/data", "node": "/srv"}],
        "state": {"error": "", "exit_code": 0, "pid": 77, "oom_killed": False, "paused": False, "restarting": False,
                  "dead": False, "running": True},
        "network_settings": {"bridge": "", "gateway": "10.1.0.1", "ip_address": "10.1.0.5", "ip_prefix_len": 16,
                             "mac_address": "",
                             "ports": {"80/tcp": [{"node_ip": "127.0.0.1", "node_port": 8080.0}], "81/tcp": []}},
    }  # fmt: skip


async def test_values_of_secrets_are_never_stored(
    ask: ContainerRest, deploy: Running, service_id: str, deploy_db: Database
) -> None:
    async with deploy_db.transaction() as tx:
        pod = {"secrets": [{"name": "OLD_PASSWORD", "secret": "OLD"}]}
        await tx.execute(
            tables.instances.insert().values(
                id=new_id(), service_id=service_id, grid_id=GRID, instance_number=1, pod=pod
            )
        )
    env = ["A=1", "DB_PASSWORD=hidden", "OLD_PASSWORD=hidden", "DB_PASSWORD_FILE=kept"]
    async with container_pusher(deploy.channel) as pusher:
        await pusher.snapshot(container(service_id=service_id, env=env))
    assert (await known(ask))["env"] == ["A=1", "DB_PASSWORD_FILE=kept"]
    async with deploy_db.read() as tx:
        rows = (await tx.execute(sa.select(sa.cast(containers.c.details, sa.Text)))).scalars().all()
    assert "hidden" not in str(rows)


async def test_the_list_shows_running_containers_and_all_of_them_when_asked(
    ask: ContainerRest, deploy: Running, service_id: str
) -> None:
    stopped = container("web-2", service_id)
    stopped.state.running = False
    data = container("web-1-volumes", service_id, labels={"io.kontena.container.type": "volume"})
    async with container_pusher(deploy.channel) as pusher:
        await pusher.snapshot(container("web-1", service_id), stopped, data, container("plain"))
        await known(ask)
        assert sorted(await names(ask)) == ["plain", "web-1"]
        assert await names(ask, all="0") == await names(ask)
        assert sorted(await names(ask, all="1")) == ["plain", "web-1", "web-1-volumes", "web-2"]
        answer = await ask("ListServiceContainers", pb.ListServiceContainersRequest(id="g1/null/web"))
        assert [(item["name"], item["status"]) for item in answer.body["containers"]] == [
            ("web-1", "running"), ("web-2", "stopped"),
        ]  # fmt: skip
        await pusher.push(removed=[container("plain").container_id])
        assert await names(ask) == ["web-1"]


async def test_a_snapshot_forgets_what_is_gone_and_keeps_ids(
    ask: ContainerRest, deploy: Running, service_id: str, deploy_db: Database
) -> None:
    async def ids() -> dict[str, str]:
        async with deploy_db.read() as tx:
            rows = await tx.execute(sa.select(containers.c.name, containers.c.id))
            return {row.name: row.id for row in rows}

    async with container_pusher(deploy.channel) as pusher:
        await pusher.snapshot(container("web-1", service_id), container("web-2", service_id))
    before = await ids()
    async with container_pusher(deploy.channel) as pusher:
        await pusher.snapshot(container("web-1", service_id))
    assert await ids() == {"web-1": before["web-1"]}


async def test_late_reports_of_an_older_session_change_nothing(
    deploy: Running, deploy_db: Database, deploy_neighbours: Neighbours
) -> None:
    deploy_neighbours.grids.put_node(NODE_1, "node-a", 1)
    async with container_pusher(deploy.channel, session=2) as newer, container_pusher(deploy.channel) as older:
        await newer.snapshot(container("web-1", image="new:1"))
        await older.snapshot(container("web-1", image="old:1"))
        await older.push(removed=[container("web-1").container_id])
    async with deploy_db.read() as tx:
        assert (await tx.execute(sa.select(containers.c.details["image"].astext))).scalars().all() == [
            "busybox:1new:1"[9:]
        ]


@pytest.mark.parametrize("grid_id", [GRID, OTHER_GRID])
async def test_a_node_speaks_for_what_it_runs_only(
    deploy: Running, service_id: str, deploy_db: Database, deploy_neighbours: Neighbours, grid_id: str
) -> None:
    deploy_neighbours.grids.put_node(NODE_2, "node-b", 2, grid_id=grid_id)
    async with container_pusher(deploy.channel, node_id=NODE_2, grid_id=grid_id) as pusher:
        await pusher.snapshot(container("web-1", service_id))
    async with deploy_db.read() as tx:
        row = (await tx.execute(sa.select(containers.c.grid_id, containers.c.service_id))).one()
    assert (row.grid_id, row.service_id) == (grid_id, None)


async def test_containers_of_a_lost_node_are_shown_as_lost_until_it_tells_of_them_again(
    ask: ContainerRest, deploy: Running, service_id: str, deploy_neighbours: Neighbours
) -> None:
    async with container_pusher(deploy.channel) as pusher:
        await pusher.snapshot(container("web-1", service_id), container("web-2", service_id))
    await known(ask)
    deploy_neighbours.grids.put_node(NODE_1, "node-a", 1, connected=False)

    async def statuses(expected: list[tuple[str, str, bool]]) -> bool:
        shown = (await ask("ListContainers", pb.ListContainersRequest(grid="g1"))).body["containers"]
        assert [(item["name"], item["status"], item["node"]["connected"]) for item in shown] == expected
        return True

    await eventually(lambda: statuses([("web-1", "lost", False), ("web-2", "lost", False)]))
    of_service = await ask("ListServiceContainers", pb.ListServiceContainersRequest(id="g1/null/web"))
    assert [item["status"] for item in of_service.body["containers"]] == ["lost", "lost"]
    one = await ask("GetContainer", pb.GetContainerRequest(id="g1/node-a/web-1"))
    assert (one.status, one.body["status"], one.body.get("deleted_at")) == (200, "lost", None)
    deploy_neighbours.grids.put_node(NODE_1, "node-a", 1, session=2)
    async with container_pusher(deploy.channel, session=2) as pusher:
        # Already when it has only said which ones it has.
        await pusher.snapshot(present=[container("web-1").container_id])
        await eventually(lambda: statuses([("web-1", "running", True)]))


async def test_containers_of_a_removed_node_are_forgotten(
    ask: ContainerRest, deploy: Running, service_id: str, deploy_neighbours: Neighbours
) -> None:
    async with container_pusher(deploy.channel) as pusher:
        await pusher.snapshot(container("web-1", service_id))
    await known(ask)
    deploy_neighbours.grids.nodes.remove(NODE_1)

    async def gone() -> bool:
        return await names(ask, all="1") == []

    await eventually(gone)


async def test_a_superseded_session_is_refused(deploy: Running, deploy_neighbours: Neighbours, service_id: str) -> None:
    deploy_neighbours.grids.put_node(NODE_1, "node-a", 1, session=2)

    async def refused() -> bool:
        async with container_pusher(deploy.channel) as pusher:
            try:
                await pusher.snapshot()
            except grpc.aio.AioRpcError as error:
                return error.code() is grpc.StatusCode.FAILED_PRECONDITION
        return False

    await eventually(refused)


async def test_refusals(ask: ContainerRest, deploy: Running, service_id: str) -> None:
    async with container_pusher(deploy.channel) as pusher:
        await pusher.snapshot(container("data-1", labels={"io.kontena.container.type": "volume"}))
    for path, status in {
        "nope/node-a/web-1": 404, "g2/node-a/web-1": 403, "g1/nowhere/web-1": 404, "g1/node-a/web-9": 404,
        "g1/node-a/data-1": 404, "g1/node-a/a\0b": 404,
    }.items():  # fmt: skip
        answer = await ask("GetContainer", pb.GetContainerRequest(id=path))
        assert (answer.status, list(answer.body)) == (status, ["error"]), path
    assert (await ask("ListContainers", pb.ListContainersRequest(grid="nope"))).status == 404
    assert (await ask("ListContainers", pb.ListContainersRequest(grid="g2"))).status == 403
    nobody = ContainerRest(deploy.channel, None)
    assert (await nobody("ListContainers", pb.ListContainersRequest(grid="g1"))).status == 401
    assert (await ask("ListServiceContainers", pb.ListServiceContainersRequest(id="g1/null/x"))).status == 404


async def test_lists_take_one_statement_however_long(
    ask: ContainerRest, deploy: Running, service_id: str, deploy_queries: Callable[[str], Any]
) -> None:
    counts = []
    async with container_pusher(deploy.channel) as pusher:
        for count in (1, 1000):
            await pusher.snapshot(*(container(f"web-{number}", service_id) for number in range(count)))
            with deploy_queries("ListContainers") as statements:
                assert len(await names(ask)) == count
            counts.append(len(statements))
    assert counts == [1, 1]


async def test_a_node_has_so_many_containers_and_no_more(
    deploy: Running, service_id: str, deploy_db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The attack: 60,000 containers that do not exist."""
    monkeypatch.setattr("services.deploy_svc.usecases.container_reports.MOST_CONTAINERS", 3)
    async with container_pusher(deploy.channel) as pusher:
        await pusher.snapshot(container("web-1", service_id), container("web-2", service_id))
        await pusher.push(*(container(f"web-{number}", service_id) for number in range(1, 50)))
        async with deploy_db.read() as tx:
            shown = (await tx.execute(sa.select(containers.c.name).order_by(containers.c.name))).scalars().all()
        assert len(shown) == 3
        assert {"web-1", "web-2"} < set(shown)


@pytest.fixture
async def instance_id(service_id: str, deploy_db: Database) -> str:
    """Its only instance."""
    found = new_id()
    async with deploy_db.transaction() as tx:
        await tx.execute(tables.instances.delete())
        await tx.execute(
            tables.instances.insert().values(
                id=found, service_id=service_id, grid_id=GRID, instance_number=1, node_id=NODE_1, state="running",
                desired_state="running", deploy_rev="r2", rev="r1", container_id=container().container_id,
                health="healthy",
            )
        )  # fmt: skip
    return found


async def test_instances_are_shown_and_detached(
    ask: ContainerRest, instance_id: str, deploy_neighbours: Neighbours
) -> None:
    async def placed() -> dict[str, Any] | None:
        answer = await ask("ListInstances", instance_pb2.ListInstancesRequest(id="g1/null/web"))
        (item,) = answer.body["instances"]
        return item if "node" in item else None

    shown = await eventually(placed) or {}
    assert shown.pop("created_at")
    assert shown.pop("updated_at")
    assert shown == {
        "id": instance_id, "instance_number": 1, "desired_state": "running", "state": "running", "deploy_rev": "r2",
        "rev": "r1", "node": {"id": "g1/node-a", "name": "node-a", "public_ip": "1.2.3.4"},
    }  # fmt: skip
    request = instance_pb2.GetInstanceRequest(id="g1/null/web", instance_id=instance_id)
    assert (await ask("GetInstance", request)).body["id"] == instance_id
    delete = instance_pb2.DeleteInstanceRequest(id="g1/null/web", instance_id=instance_id)
    assert (await ask("DeleteInstance", delete)).body == {}
    detached = (await ask("GetInstance", request)).body
    assert ("node" in detached, detached["state"], detached["desired_state"]) == (False, "missing", "running")
    for odd in ("foo", "0" * 24):
        missing = instance_pb2.GetInstanceRequest(id="g1/null/web", instance_id=odd)
        answer = await ask("GetInstance", missing)
        assert (answer.status, answer.body) == (404, {"error": "Not found"})
        gone = instance_pb2.DeleteInstanceRequest(id="g1/null/web", instance_id=odd)
        assert (await ask("DeleteInstance", gone)).status == 404


async def test_a_viewer_detaches_nothing(deploy: Running, instance_id: str) -> None:
    viewer = ContainerRest(deploy.channel, "viewer")
    request = instance_pb2.DeleteInstanceRequest(id="g1/null/web", instance_id=instance_id)
    assert (await viewer("DeleteInstance", request)).status == 403


async def test_health_comes_with_the_container(
    ask: ContainerRest, deploy: Running, service_id: str, instance_id: str
) -> None:
    async with container_pusher(deploy.channel) as pusher:
        await pusher.snapshot(container("web-1", service_id))
    health = (await known(ask))["health_status"]
    assert health["status"] == "healthy"
    assert health["updated_at"]
