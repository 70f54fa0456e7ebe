"""What writing a service asks of Postgres, and what is left of writes that are refused."""

from collections.abc import Callable
from contextlib import AbstractContextManager

import sqlalchemy as sa

from services.deploy_svc.store import tables
from services.kernel.db import Database
from tests.integration.deploy_svc.rest import Rest
from tests.integration.deploy_svc.stand_ins import Neighbours
from tests.support.eventually import eventually

Queries = Callable[[str], AbstractContextManager[list[str]]]
LINK = {"name": "first", "alias": "first"}


async def test_a_new_service_takes_one_statement(rest: Rest, deploy_queries: Queries) -> None:
    """With its revision and its audit event; what the grid holds is known for a while."""
    await rest.created("first")
    with deploy_queries("CreateService") as statements:
        await rest.created("second", env=["A=1"])
    assert len(statements) == 1, statements
    with deploy_queries("CreateService") as statements:
        await rest.created("third", links=[LINK])
    assert [text.split()[0] for text in statements] == ["begin", "SELECT", "WITH", "commit"]


async def test_a_changed_service_takes_three_statements(rest: Rest, deploy_queries: Queries) -> None:
    """The service, locked; what is written; what its instances are."""
    await rest.created("first")
    await rest.created("web", env=["A=1"])
    with deploy_queries("UpdateService") as statements:
        await rest.put({"env": ["A=2"]})
    assert [text.split()[0] for text in statements] == ["begin", "SELECT", "WITH", "SELECT", "commit"]
    with deploy_queries("UpdateService") as statements:
        await rest.put({"env": ["A=2"]})
    assert len(statements) == 5, "without a change the audit event is written all the same"


async def test_a_new_service_that_is_refused_leaves_nothing(
    rest: Rest, deploy_db: Database, deploy_neighbours: Neighbours
) -> None:
    await rest.created("first")
    plain = {"image": "busybox:1", "stateful": False}
    gone = {"name": "gone", "alias": "gone"}
    assert (await rest.create({"name": "first", **plain})).status == 422
    assert (await rest.create({"name": "first", **plain, "links": [LINK]})).status == 422
    assert (await rest.create({"name": "web", **plain, "links": [LINK, gone]})).status == 422
    # What was locked for those that were refused is free, and none of them made it be linked to.
    assert (await rest.delete("g1/null/first")).status == 200
    await rest.created("web")
    expected = [("create", "first"), ("create", "web"), ("delete", "first")]

    async def told() -> bool:
        return sorted(deploy_neighbours.audit.seen()) == expected

    await eventually(told, message="what happened is told, and nothing else")
    async with deploy_db.read() as tx:
        noted = await tx.execute(sa.select(sa.func.count()).select_from(tables.service_revisions))
        assert noted.scalar_one() == 1
