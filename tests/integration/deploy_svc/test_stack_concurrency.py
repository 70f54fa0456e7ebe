"""ETag, If-Match and Idempotency-Key on stacks and services."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from kontena.deploy.v1 import service_pb2
from services.deploy_svc.store import idempotency_keys, stack_tables, tables
from services.kernel.db import Database
from tests.integration.deploy_svc.rest import Rest
from tests.integration.deploy_svc.stack_rest import StackRest, document, service, snapshot
from tests.support.running import Running


@pytest.fixture
def stacks(deploy: Running) -> StackRest:
    return StackRest(deploy.channel)


async def test_a_stale_stack_is_neither_changed_nor_deleted(stacks: StackRest, deploy_db: Database) -> None:
    await stacks.created()
    first = stacks.headers["etag"]
    await stacks.get()
    assert stacks.headers["etag"] == first
    await stacks.put(document(version="2"), if_match=first)
    second = stacks.headers["etag"]
    assert second != first
    before = await snapshot(deploy_db)
    for call in (stacks.put(document(version="3"), if_match=first), stacks.delete(if_match=first)):
        stale = await call
        assert (stale.status, stale.body) == (412, {"error": "The resource changed since you read it"})
    assert await snapshot(deploy_db) == before
    assert (await stacks.put(document(version="3"), if_match=f'"x", {second}')).status == 200
    assert (await stacks.put(document(version="4"), if_match="*")).status == 200
    assert (await stacks.delete(if_match="*")).status == 200


async def test_of_two_careful_writers_one_wins(stacks: StackRest) -> None:
    await stacks.created()
    tag = stacks.headers["etag"]
    answers = await asyncio.gather(*(stacks.put(document(version=f"v{n}"), if_match=tag) for n in range(5)))
    assert sorted(answer.status for answer in answers) == [200, 412, 412, 412, 412]
    assert (await stacks.get()).body["revision"] == 2


async def test_a_stale_service_is_neither_changed_nor_deleted(stacks: StackRest, rest: Rest) -> None:
    await rest.created("app")
    await stacks.service("g1/null/app")
    tag = stacks.headers["etag"]
    await rest.stop("g1/null/app")
    await stacks.service("g1/null/app")
    assert stacks.headers["etag"] == tag, "what users set did not change"
    await rest.put({"env": ["A=1"]}, "g1/null/app")
    request = service_pb2.UpdateServiceRequest(id="g1/null/app")
    put = await stacks._call(stacks._services.UpdateService, request, {"service": {"image": "x"}}, if_match=tag)
    gone = await stacks._call(
        stacks._services.DeleteService, service_pb2.DeleteServiceRequest(id="g1/null/app"), if_match=tag
    )
    assert (put.status, gone.status) == (412, 412)
    assert (await rest.get("g1/null/app")).body["image"] == "busybox:1"


async def test_a_repeated_create_or_deploy_gets_the_first_answer(stacks: StackRest, deploy_db: Database) -> None:
    first = await stacks.create(document(), idempotency_key="k1")
    await stacks.put(document(version="2"))
    again = await stacks.create(document(), idempotency_key="k1")
    assert (again.status, again.body) == (201, first.body)
    deploys = [(await stacks.deploy(idempotency_key="k1")).body["id"] for _ in range(3)]
    assert len(set(deploys)) == 1
    assert (await stacks.deploy(idempotency_key="k2")).body["id"] != deploys[0]
    async with deploy_db.read() as tx:
        assert (await tx.execute(sa.select(sa.func.count()).select_from(stack_tables.stack_deploys))).scalar() == 2


async def test_a_key_stands_for_one_request(stacks: StackRest, deploy: Running) -> None:
    await stacks.create(document(), idempotency_key="k1")
    other = await stacks.create(document(name="other"), idempotency_key="k1")
    assert (other.status, list(other.body["error"])) == (422, ["idempotency_key"])
    # Another user's key is another key.
    admin = StackRest(deploy.channel, "admin")
    assert (await admin.create(document(name="other"), idempotency_key="k1")).status == 201


async def test_an_error_is_not_kept(stacks: StackRest, rest: Rest) -> None:
    body = document(service("web", links=[{"name": "null/app", "alias": "a"}]))
    assert (await stacks.create(body, idempotency_key="k")).status == 422
    await rest.created("app")
    assert (await stacks.create(body, idempotency_key="k")).status == 201


async def test_repeats_at_the_same_time_do_the_work_once(stacks: StackRest, rest: Rest, deploy_db: Database) -> None:
    # More than the pool has connections.
    answers = await asyncio.gather(*(stacks.create(document(), idempotency_key="k") for _ in range(15)))
    assert {answer.status for answer in answers} == {201}
    assert len({str(answer.body) for answer in answers}) == 1
    await rest.created("app")

    async def scale() -> Any:
        request = service_pb2.ScaleServiceRequest(id="g1/null/app", instances=2)
        return (await stacks._call(stacks._services.ScaleService, request, idempotency_key="k")).body["id"]

    assert len(set(await asyncio.gather(*(scale() for _ in range(5))))) == 1
    async with deploy_db.read() as tx:
        assert (await tx.execute(sa.select(sa.func.count()).select_from(tables.service_deploys))).scalar() == 1


async def test_keys_are_forgotten_after_a_day(stacks: StackRest, deploy_db: Database) -> None:
    first = await stacks.create(document(), idempotency_key="k")
    table = stack_tables.idempotency_keys
    async with deploy_db.transaction() as tx:
        await tx.execute(table.update().values(created_at=sa.func.now() - sa.text("interval '25 hours'")))
    assert first.status == 201
    assert (await stacks.create(document(), idempotency_key="k")).status == 422
    async with deploy_db.transaction() as tx:
        await idempotency_keys.expire(tx, timedelta(hours=24))
        assert (await tx.execute(sa.select(table.c.key))).all() == []
