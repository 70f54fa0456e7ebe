"""Answers are put together from kept parts: what a read shows is what is committed, whichever replica wrote it."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial

import pytest
import sqlalchemy as sa

from services.deploy_svc import app
from services.deploy_svc.settings import Settings
from services.deploy_svc.store import tables
from services.kernel.db import Database
from services.kernel.ids import new_id
from tests.integration.deploy_svc.rest import Rest
from tests.integration.deploy_svc.stack_rest import StackRest, document, service
from tests.support.running import Running, running
from tests.support.statements import prepared_of

ROUNDS = 15


@pytest.fixture(scope="module")
async def _second(deploy_settings: Settings) -> AsyncIterator[Running]:
    async with running(partial(app.build, deploy_settings)) as served:
        yield served


@pytest.fixture
def stack_replicas(deploy: Running, _second: Running) -> tuple[StackRest, StackRest]:
    return StackRest(deploy.channel), StackRest(_second.channel)


@pytest.fixture
def replicas(rest: Rest, _second: Running) -> tuple[Rest, Rest]:
    return rest, Rest(_second.channel, "member")


async def _writes_and_reads(writer: Rest, reader: Rest, name: str) -> None:
    path = f"g1/null/{name}"
    for number in range(ROUNDS):
        env = [f"N={number}"]
        assert (await writer.put({"env": env}, path)).status == 200
        assert (await reader.get(path)).body["env"] == env
        listed = {service["name"]: service for service in (await reader.list()).body["services"]}
        assert listed[name]["env"] == env
        writer, reader = reader, writer


async def test_what_was_acknowledged_is_read_on_every_replica(replicas: tuple[Rest, Rest]) -> None:
    names = ("a", "b", "c")
    for name in names:
        await replicas[0].created(name)
    await asyncio.gather(*(_writes_and_reads(*replicas, name) for name in names))


async def test_a_service_that_was_made_anew_is_another(replicas: tuple[Rest, Rest]) -> None:
    one, other = replicas
    for number in range(3):
        await one.created(env=[f"N={number}"])
        assert (await other.get()).body["env"] == [f"N={number}"]
        assert (await one.delete()).status == 200
        assert (await other.get()).status == 404
        one, other = other, one


async def test_what_a_service_depends_on_shows_at_once(replicas: tuple[Rest, Rest], deploy_db: Database) -> None:
    rest, other = replicas
    await rest.created("db")
    await rest.created("web", links=[{"name": "db", "alias": "db"}], health_check={"protocol": "tcp", "port": 80})
    shown = (await other.get()).body
    assert shown["instance_counts"] == {"total": 0, "running": 0}
    assert [link["id"] for link in shown["links"]] == ["g1/null/db"]
    async with deploy_db.transaction() as tx:
        web = (await tx.execute(sa.select(tables.services).where(tables.services.c.name == "web"))).one()
        values = {"id": new_id(), "service_id": web.id, "grid_id": web.grid_id, "instance_number": 1}
        values |= {"state": "running", "container_id": "c", "health": "healthy"}
        await tx.execute(tables.instances.insert().values(values))
        # What no request does: the target is gone while the service links to it.
        await tx.execute(tables.services.delete().where(tables.services.c.name == "db"))
    shown = (await other.get()).body
    assert shown["instance_counts"] == {"total": 1, "running": 1}
    assert shown["health_status"] == {"healthy": 1, "unhealthy": 0, "total": 1}
    assert shown["links"] == []


async def test_instances_of_a_service_that_was_shown_are_counted_again(
    replicas: tuple[Rest, Rest], deploy_db: Database
) -> None:
    """The service is of the same version, its instances are not."""
    rest, _ = replicas
    await rest.created("web")
    for count in range(3):
        shown = [(await rest.get()).body, *(await rest.list()).body["services"]]
        assert [one["instance_counts"] for one in shown] == [{"total": count, "running": count}] * 2
        async with deploy_db.transaction() as tx:
            web = (await tx.execute(sa.select(tables.services))).one()
            values = {"id": new_id(), "service_id": web.id, "grid_id": web.grid_id, "instance_number": count + 1}
            values |= {"state": "running", "container_id": f"c{count}"}
            await tx.execute(tables.instances.insert().values(values))


async def test_a_read_says_the_same_as_the_write_before(replicas: tuple[Rest, Rest]) -> None:
    """One is encoded from parts, the other as a whole."""
    made = await replicas[0].created("web", env=["A=1"], affinity=["node==n1"], labels={"a": "b"})
    assert (await replicas[1].get()).body == made
    assert (await replicas[1].list()).body["services"] == [made]


async def test_a_read_is_one_small_statement(
    replicas: tuple[Rest, Rest], deploy_db: Database, deploy_queries: object
) -> None:
    await replicas[0].created()
    await replicas[0].get()
    with deploy_queries("GetService") as statements, prepared_of("GetService") as prepared:  # type: ignore[operator]
        await replicas[0].get()
    assert (len(prepared), statements) == (1, []), "what is kept is not read again"


async def test_a_list_is_one_statement_however_long(replicas: tuple[Rest, Rest], deploy_queries: object) -> None:
    for number in range(4):
        await replicas[0].created(f"s{number}")
        await replicas[0].list()
        with deploy_queries("ListServices") as statements, prepared_of("ListServices") as prepared:  # type: ignore[operator]
            assert len((await replicas[0].list()).body["services"]) == number + 1
        assert (len(prepared), statements) == (1, []), "which services, with their instances"


async def test_a_stack_is_read_as_it_was_written_on_every_replica(
    stack_replicas: tuple[StackRest, StackRest], replicas: tuple[Rest, Rest]
) -> None:
    one, other = stack_replicas
    made = await one.created(service("db"), service("web", links=[{"name": "db", "alias": "db"}]), labels=["a=b"])
    for number in range(3):
        assert (await other.get()).body == made
        assert (await other.list()).body["stacks"] == [made]
        changed = document(service("db"), service("web", env=[f"N={number}"]), service(f"new{number}"))
        made = (await one.put(changed)).body
        assert [found["name"] for found in made["services"]][-1] == f"new{number}", "the answer has what was just made"
        one, other = other, one
    await replicas[0].put({"env": ["A=1"]}, "g1/shop/web")
    shown = {found["name"]: found for found in (await other.get()).body["services"]}
    assert shown["web"]["env"] == ["A=1"]


async def test_what_was_given_up_is_not_kept(stack_replicas: tuple[StackRest, StackRest]) -> None:
    """A change that ends with an error has made parts of versions that nobody ever sees."""
    one, other = stack_replicas
    made = await one.created(service("web"))
    assert (await one.put({"services": [service("web", image="")]}, if_match='"other"')).status >= 400
    assert [(await replica.get()).body for replica in (one, other)] == [made, made]


async def test_a_stack_whose_parts_are_kept_is_not_read_again(
    stack_replicas: tuple[StackRest, StackRest], deploy_queries: object
) -> None:
    one, _ = stack_replicas
    await one.created(service("db"), service("web", links=[{"name": "db", "alias": "db"}]))
    await one.list()
    with deploy_queries("GetStack") as statements, prepared_of("GetStack") as prepared:  # type: ignore[operator]
        await one.get()
    assert (len(prepared), statements) == (2, []), "the stack with its services, and what they link to"
    with deploy_queries("ListStacks") as statements, prepared_of("ListStacks") as prepared:  # type: ignore[operator]
        await one.list()
    assert statements == []
    assert len(prepared) == 5, "which stacks, parents, services, what these link to, and which are being deployed"


async def test_a_stack_shows_what_becomes_of_its_services(
    stack_replicas: tuple[StackRest, StackRest], deploy_db: Database
) -> None:
    one, other = stack_replicas
    made = await one.created(service("web"), service("api"))
    assert (made["state"], (await other.get()).body["state"]) == ("initialized", "initialized")
    async with deploy_db.transaction() as tx:
        await tx.execute(sa.text("update deploy.services set state = 'running'"))
    assert [(await replica.get()).body["state"] for replica in stack_replicas] == ["running"] * 2
    async with deploy_db.transaction() as tx:
        await tx.execute(
            sa.text(
                "insert into deploy.service_deploys (id, service_id) select :id, id from deploy.services"
                " where name = 'api'"
            ),
            {"id": new_id()},
        )
    assert [(await replica.get()).body["state"] for replica in stack_replicas] == ["deploying"] * 2
