"""Revisions of services and stacks, and rollbacks to one of them: Postgres, a real server."""

from typing import Any

import pytest
import sqlalchemy as sa

from services.deploy_svc.domain.revision import Note
from services.deploy_svc.domain.service_spec import ServiceSpec
from services.deploy_svc.store import revisions, services, tables
from services.kernel.db import Database
from services.kernel.pages import Page
from tests.integration.deploy_svc.rest import Rest
from tests.integration.deploy_svc.stack_rest import StackRest, document, service
from tests.integration.deploy_svc.stand_ins import GRID, Neighbours
from tests.support.running import Running


@pytest.fixture
def stacks(deploy: Running) -> StackRest:
    return StackRest(deploy.channel)


async def test_each_change_is_a_revision_with_its_author_and_what_it_changed(rest: Rest, rest_as: Any) -> None:
    await rest.created(env=["A=1"])
    await rest.put({"image": "busybox:2"})
    await rest_as("admin").add_env("B=2")
    await rest.put({"image": "busybox:2"})
    # Neither makes a revision: nothing that could be gone back to.
    await rest.scale(3)
    await rest.deploy(force=True)
    answer = await rest.revisions()
    found = answer.body["revisions"]
    assert [(item["revision"], item["author"]) for item in found] == [
        (3, "root@example.test"),
        (2, "member@example.test"),
        (1, "member@example.test"),
    ]
    assert found[0]["changes"] == [{"attribute": "env", "before": ["A=1"], "after": ["A=1", "B=2"]}]
    assert found[1]["changes"] == [{"attribute": "image", "before": "busybox:1", "after": "busybox:2"}]
    assert found[2]["changes"] == []
    first = (await rest.revisions(limit=1)).body
    assert first["revisions"] == found[:1]
    rest_of_it = (await rest.revisions(limit=5, **{"from": first["next"]})).body
    assert rest_of_it["revisions"] == found[1:]


async def test_a_rollback_brings_everything_back_but_the_number_of_instances(
    rest: Rest, deploy_neighbours: Neighbours
) -> None:
    deploy_neighbours.vault.values |= {(GRID, "OLD"): "1", (GRID, "NEW"): "2"}
    ports = [{"node_port": 80, "container_port": 80}]
    await rest.created(ports=ports, secrets=[{"secret": "OLD", "name": "S"}])
    await rest.put({"image": "busybox:2", "ports": []})
    await rest.put({"secrets": [{"secret": "NEW", "name": "S"}], "env": ["A=1"]})
    await rest.scale(4)
    answer = await rest.rollback(1)
    assert answer.status == 200, answer
    assert (answer.body["origin"], answer.body["origin_name"], answer.body["instance_count"]) == ("rollback", "1", 4)
    found = (await rest.get()).body
    assert (found["revision"], found["image"], found["env"], found["instances"]) == (4, "busybox:1", [], 4)
    assert [port["node_port"] for port in found["ports"]] == [80]
    assert [item["secret"] for item in found["secrets"]] == ["OLD"]
    newest = (await rest.revisions()).body["revisions"][0]
    assert {change["attribute"] for change in newest["changes"]} == {"image", "ports", "secrets", "env", "instances"}
    # To what it is already: deployed, without a revision.
    assert (await rest.rollback(4)).status == 200
    assert (await rest.get()).body["revision"] == 4


async def test_what_is_gone_is_said_before_anything_is_touched(
    rest: Rest, stacks: StackRest, deploy_neighbours: Neighbours
) -> None:
    deploy_neighbours.vault.values[GRID, "OLD"] = "1"
    volume = {"name": "data", "scope": "grid", "driver": "local"}
    await stacks.create_volume(volume)
    await stacks.create_volume({**volume, "name": "more"})
    await rest.created("other")
    await rest.created(
        volumes=["data:/data", "more:/more"],
        secrets=[{"secret": "OLD", "name": "S"}],
        links=[{"name": "other", "alias": "other"}],
    )
    await rest.put({"volumes": [], "secrets": [], "links": []})
    deploy_neighbours.vault.values.clear()
    for name in ("data", "more"):
        await stacks.delete_volume(f"g1/{name}")
    await stacks.create_volume(volume)
    assert (await rest.delete("g1/null/other")).status == 200
    before = (await rest.get()).body
    refused = await rest.rollback(1)
    assert (refused.status, refused.body) == (
        422,
        {
            "error": {
                "secrets": ["Secret OLD does not exist"],
                "volumes": [
                    "Volume data was removed since, and another one has its name",
                    "Volume more does not exist any more",
                ],
                "links": ["Service null/other does not exist"],
            }
        },
    )
    assert (await rest.get()).body == before
    assert (await rest.deploys()).body["deploys"] == []


@pytest.mark.parametrize("number", [None, 0, 7, -1])
async def test_only_kept_revisions_can_be_gone_back_to(rest: Rest, number: int | None) -> None:
    await rest.created()
    refused = await rest.rollback(number)
    assert refused.status == 422
    assert list(refused.body["error"]) == ["revision"]
    if number is not None:
        assert refused.body["error"]["revision"] == f"Revision {number} is not kept; kept are 1"


async def test_a_viewer_sees_revisions_and_goes_back_to_none(rest: Rest, rest_as: Any) -> None:
    await rest.created()
    viewer = rest_as("viewer")
    assert (await viewer.revisions()).status == 200
    assert (await viewer.rollback(1)).status == 403
    assert (await viewer.plan({})).status == 403
    assert (await rest_as("stranger").revisions()).status == 403


async def test_as_many_revisions_are_kept_as_the_setting_says(deploy_db: Database) -> None:
    note = Note("ann@example.org", 3)
    spec = ServiceSpec("app", stateful=False)
    async with deploy_db.transaction() as tx:
        made = await services.insert(tx, grid_id=GRID, grid="g1", stack="null", name="web", spec=spec, note=note)
        assert made is not None
        # Numbers are used up by forced deploys as well.
        await services.request_deploy(tx, made.id, bump=True)
        for number in range(5):
            env = (f"A={number}",)
            await services.update(tx, made.id, ServiceSpec("app", stateful=False, env=env), bump=True, note=note)
        kept = [item for item, _ in await revisions.OF_SERVICES.history(tx, made.id, Page())]
    assert [item.revision for item in kept] == [7, 6, 5]
    assert [item.version.spec.env for item in kept] == [("A=4",), ("A=3",), ("A=2",)]
    async with deploy_db.transaction() as tx:
        await services.delete(tx, made.id)
        left = await tx.execute(sa.select(sa.func.count()).select_from(tables.service_revisions))
        assert left.scalar_one() == 0


async def test_a_plan_of_a_service_says_what_an_update_would_do_and_writes_nothing(rest: Rest) -> None:
    await rest.created(env=["A=1"])
    before = (await rest.get()).body
    plan = (await rest.plan({"image": "busybox:2"})).body
    assert (plan["service_id"], plan["revision"], plan["changed"]) == ("g1/null/web", 2, True)
    assert plan["service"]["action"] == "change"
    assert plan["service"]["changes"] == [{"attribute": "image", "before": "busybox:1", "after": "busybox:2"}]
    same = (await rest.plan({"image": "busybox:1"})).body
    assert (same["revision"], same["changed"], same["service"]["action"]) == (1, False, "keep")
    refused = await rest.plan({"secrets": [{"secret": "NO", "name": "S"}]})
    assert (refused.status, list(refused.body["error"])) == (422, ["secrets"])
    assert (await rest.get()).body == before


async def test_a_stack_goes_back_to_a_document_of_before(stacks: StackRest) -> None:
    await stacks.created(service("web"), service("db"))
    await stacks.put(document(service("web", image="busybox:2"), service("log"), version="2"))
    await stacks.put(document(service("web", image="busybox:3"), version="3"))
    found = (await stacks.revisions()).body["revisions"]
    assert [(item["revision"], item["version"], item["author"]) for item in found] == [
        (number, version, "member@example.test") for number, version in ((3, "3"), (2, "2"), (1, "0.1.0"))
    ]
    assert {(item["name"], item["action"]) for item in found[1]["services"]} == {
        ("web", "change"),
        ("log", "create"),
        ("db", "remove"),
    }
    answer = await stacks.rollback(1)
    assert answer.status == 200, answer
    assert (answer.body["revision"], answer.body["origin"], answer.body["origin_name"]) == (4, "rollback", "1")
    now = (await stacks.get()).body
    assert (now["version"], now["revision"]) == ("0.1.0", 4)
    assert (await stacks.service("g1/shop/web")).body["image"] == "busybox:1"
    assert (await stacks.service("g1/shop/db")).status == 200
    refused = await stacks.rollback(9)
    assert refused.body["error"] == {"revision": "Revision 9 is not kept; kept are 1, 2, 3, 4"}
    stale = await stacks.rollback(2, if_match='"other"')
    assert stale.status == 412


async def test_a_repeated_rollback_is_one(stacks: StackRest) -> None:
    await stacks.created(service("web"))
    await stacks.put(document(service("web", image="busybox:2"), version="2"))
    first, again = [await stacks.rollback(1, idempotency_key="k") for _ in range(2)]
    assert first.body == again.body
    assert (await stacks.get()).body["revision"] == 3
