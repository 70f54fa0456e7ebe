"""What many nodes of a grid send at once is stored together, each of it once."""

import asyncio
from collections.abc import Awaitable, Sequence
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import sqlalchemy as sa

from services.deploy_svc.domain.container import Details, Reported, State
from services.deploy_svc.domain.event import NodeEvent
from services.deploy_svc.domain.log_line import LogLine, LogResume
from services.deploy_svc.store import container_tables, event_tables, tables
from services.deploy_svc.usecases.container_reports import Batch, ContainerReports
from services.deploy_svc.usecases.event_logs import EventIngest
from services.deploy_svc.usecases.log_ingest import LogIngest
from services.kernel import locks
from services.kernel.principal import NodeSession
from tests.integration.deploy_svc.engine_fixtures import WAITING, Engine, deployed
from tests.integration.deploy_svc.stand_ins import GRID, NODE_1
from tests.support.eventually import eventually

START = datetime(2026, 1, 1, tzinfo=UTC)
MANY = 20


class Nodes:
    """Knows every node."""

    async def awaited(self, node_id: str, _seconds: float) -> Any:
        return SimpleNamespace(grid_id=GRID, session=0, name=f"name of {node_id[:2]}")


NODES: Any = Nodes()


def of(number: int) -> NodeSession:
    return NodeSession(GRID, f"{number:02}".ljust(24, "0"), 1)


def line(data: str, at: int = 0, service_id: str | None = None) -> LogLine:
    return LogLine("c1", "web-1", service_id, 1, START + timedelta(seconds=at), "stdout", data)


async def _waiting(world: Engine) -> int:
    async with world.db.read() as tx:
        return int((await tx.execute(WAITING)).scalar_one())


async def _behind_the_lock(world: Engine, lock: locks.Lock, *work: Awaitable[None]) -> int:
    """All of it at once, while somebody else writes for the grid. Returns how many connections waited for that."""
    async with world.db.transaction() as tx:
        await locks.hold(tx, lock, GRID)
        tasks = [asyncio.ensure_future(each) for each in work]
        await eventually(lambda: _some_wait(world))
        waiting = await _waiting(world)
    await asyncio.gather(*tasks)
    return waiting


async def _some_wait(world: Engine) -> bool:
    return await _waiting(world) > 0


async def _lines(world: Engine) -> list[tuple[str, str]]:
    async with world.db.read() as tx:
        rows = await tx.execute(sa.select(tables.container_logs).order_by(tables.container_logs.c.id))
        return [(row.node, row.data) for row in rows]


async def test_lines_of_many_nodes(one_node: Engine) -> None:
    await one_node.start_replica()
    ingest = LogIngest(one_node.db, NODES)

    def pushes() -> Sequence[Awaitable[None]]:
        return [ingest.push(of(number), LogResume(), [line("a"), line("b", 1)]) for number in range(MANY)]

    assert await _behind_the_lock(one_node, locks.CONTAINER_LOGS, *pushes()) == 1
    wanted = sorted((f"name of {number:02}", data) for number in range(MANY) for data in "ab")
    assert sorted(await _lines(one_node)) == wanted
    # No acknowledgement arrived, so all is sent again.
    await asyncio.gather(*pushes())
    assert len(await _lines(one_node)) == 2 * MANY


async def test_lines_of_two_streams_of_a_node(one_node: Engine) -> None:
    """The one before was cut off, and what it sent last is sent again by its successor."""
    await one_node.start_replica()
    ingest = LogIngest(one_node.db, NODES)
    await _behind_the_lock(
        one_node,
        locks.CONTAINER_LOGS,
        ingest.push(of(9), LogResume(), [line("first")]),
        ingest.push(of(1), LogResume(), [line("a"), line("b", 1)]),
        ingest.push(of(1), LogResume(), [line("a"), line("b", 1), line("c", 1)]),
    )
    assert [data for _, data in await _lines(one_node)] == ["first", "a", "b", "c"]


async def test_a_push_that_cannot_be_stored_fails_alone(one_node: Engine) -> None:
    await one_node.start_replica()
    ingest = LogIngest(one_node.db, NODES)
    resumes = [LogResume() for _ in range(3)]
    await ingest.push(of(1), resumes[1], [line("a")])
    wrong = line("wrong")._replace(instance_number=2**40)
    tasks = [
        asyncio.ensure_future(ingest.push(of(number), resume, lines))
        for number, resume, lines in (
            (0, resumes[0], [line("a")]),
            (1, resumes[1], [line("a"), line("b"), line("c")]),
            (2, resumes[2], [wrong]),
        )
    ]
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [result is None for result in results] == [True, True, False]
    assert sorted(data for _, data in await _lines(one_node)) == ["a", "a", "a", "b", "c"]


async def test_lines_of_services_that_a_node_does_not_run_are_dropped(one_node: Engine) -> None:
    replica = await one_node.start_replica()
    service_id = await deployed(one_node, one_node.attach(replica, NODE_1))
    ingest = LogIngest(one_node.db, NODES)
    runs = NodeSession(GRID, NODE_1, 1)
    await _behind_the_lock(
        one_node,
        locks.CONTAINER_LOGS,
        *(
            ingest.push(session, LogResume(), [line(f"{session.node_id} of it", 1, service_id), line("other", 2)])
            for session in (of(3), runs)
        ),
    )
    assert sorted(data for _, data in await _lines(one_node)) == [f"{NODE_1} of it", "other", "other"]


def event(number: int, service_id: str) -> NodeEvent:
    return NodeEvent(f"agent/{number:06}", service_id, 1, 1, "service:start_instance", f"event {number}", START)


async def test_events_of_many_nodes(one_node: Engine) -> None:
    replica = await one_node.start_replica()
    service_id = await deployed(one_node, one_node.attach(replica, NODE_1))
    ingest = EventIngest(one_node.db, NODES)
    runs = NodeSession(GRID, NODE_1, 1)
    events = [event(number, service_id) for number in range(3)]
    await _behind_the_lock(
        one_node,
        locks.EVENT_LOGS,
        ingest.push(runs, events[:1]),
        *(ingest.push(of(number), events) for number in range(MANY)),
        ingest.push(runs, events[:2]),
        ingest.push(runs, events),
    )
    async with one_node.db.read() as tx:
        table = event_tables.event_logs.c
        query = sa.select(table.message).where(table.type == "service:start_instance").order_by(table.id)
        assert list((await tx.execute(query)).scalars()) == ["event 0", "event 1", "event 2"]


def reported(name: str, service_id: str | None = None) -> Reported:
    return Reported(name, name, "container", service_id, 1, START, START, None, Details(state=State(running=True)))


async def _containers(world: Engine) -> list[tuple[str, str, str | None]]:
    async with world.db.read() as tx:
        table = container_tables.containers.c
        rows = await tx.execute(sa.select(table.node_id, table.name, table.service_id).order_by(table.name))
        return [tuple(row) for row in rows]


async def test_containers_of_many_nodes(one_node: Engine) -> None:
    replica = await one_node.start_replica()
    service_id = await deployed(one_node, one_node.attach(replica, NODE_1))
    reports = ContainerReports(one_node.db, NODES)
    old, new, runs = of(1), NodeSession(GRID, of(1).node_id, 2), NodeSession(GRID, NODE_1, 1)
    await reports.store(of(0), Batch([reported("c00"), reported("gone")], []))
    table = container_tables.containers
    async with one_node.db.transaction() as tx:
        await tx.execute(sa.select(table.c.id).where(table.c.name == "c00").with_for_update())
        tasks = [
            asyncio.ensure_future(reports.store(session, batch))
            for session, batch in (
                (of(0), Batch([reported("c00")], [])),
                *((of(number), Batch([reported(f"c{number:02}", service_id)], [])) for number in range(2, 10)),
                (old, Batch([reported("of the old session")], [])),
                (new, Batch([], [], present=[])),
                (of(0), Batch([], ["gone"])),
                (runs, Batch([reported("its own", service_id)], [])),
            )
        ]
        await eventually(lambda: _some_wait(one_node))
        assert await _waiting(one_node) == 1
    await asyncio.gather(*tasks)
    wanted = [(of(number).node_id, f"c{number:02}", None) for number in (0, *range(2, 10))]
    assert await _containers(one_node) == [*wanted, (NODE_1, "its own", service_id)]
