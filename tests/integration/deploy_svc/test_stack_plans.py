"""Dry runs: what a document would do, with nothing written."""

from typing import Any

import pytest

from services.kernel.db import Database
from tests.integration.deploy_svc.rest import Rest
from tests.integration.deploy_svc.stack_rest import StackRest, document, link, service, snapshot
from tests.integration.deploy_svc.stand_ins import NODE_1, NODE_2, Neighbours
from tests.support.eventually import eventually
from tests.support.running import Running


@pytest.fixture
def stacks(deploy: Running) -> StackRest:
    return StackRest(deploy.channel)


async def _nodes(stacks: StackRest, around: Neighbours, count: int) -> None:
    """Two nodes, and deploy_svc knows of them."""
    around.grids.put_node(NODE_1, "n1", 1)
    around.grids.put_node(NODE_2, "n2", 2, labels=["disk=ssd"])

    async def known() -> bool:
        found = await stacks.plan_new(document(service("probe", strategy="daemon"), name="probe"))
        return len(found.body["services"][0]["placements"]) == count

    await eventually(known)


async def test_a_new_stack_is_placed_in_thought_only(
    stacks: StackRest, deploy_db: Database, deploy_neighbours: Neighbours
) -> None:
    await _nodes(stacks, deploy_neighbours, 2)
    ports = [{"node_port": 80, "container_port": 80}]
    body = document(
        service("web", instances=2, ports=ports, links=[link("db")]),
        service("db", affinity=["label==disk=ssd"]),
        service("likely", affinity=["label==~disk=tape", "node==~n1"]),
        service("picky", affinity=["label==disk=tape"]),
        service("late", ports=ports, links=[link("web")]),
    )
    before = await snapshot(deploy_db)
    answer = await stacks.plan_new(body)
    assert answer.status == 200, answer
    plan = answer.body
    assert (plan["stack_id"], plan["revision"], plan["changed"]) == ("g1/shop", 1, True)
    found = {item["name"]: item for item in plan["services"]}
    assert {item["action"] for item in plan["services"]} == {"create"}
    rule = {"kind": "hard", "rule": "label==disk=ssd", "met": True}
    assert found["db"]["placements"] == [{"instance_number": 1, "node": "n2", "rules": [rule]}]
    (likely,) = found["likely"]["placements"]
    assert (likely["node"], likely["score"]) == ("n1", 1)
    assert likely["rules"] == [
        {"kind": "soft", "rule": "label==~disk=tape", "met": False, "weight": 2},
        {"kind": "soft", "rule": "node==~n1", "met": True, "weight": 1},
    ]
    assert {item["node"] for item in found["web"]["placements"]} == {"n1", "n2"}
    (refused,) = found["picky"]["placements"]
    assert "node" not in refused
    assert "affinity refused" in refused["reason"]
    names = [item["name"] for item in plan["services"]]
    assert names.index("db") < names.index("web")
    (taken,) = found["late"]["placements"]
    assert "port refused n1, n2" in taken["reason"], "the plan sees its own placements"
    assert await snapshot(deploy_db) == before


async def test_a_plan_sees_the_containers_of_services_that_come_first(
    stacks: StackRest, deploy_neighbours: Neighbours
) -> None:
    await _nodes(stacks, deploy_neighbours, 2)
    beside = service("beside", volumes_from=["web-%s"], net="container:web-%s", links=[link("web")])
    plan = (await stacks.plan_new(document(service("web"), beside))).body
    web, other = (item["placements"][0] for item in plan["services"])
    assert other["node"] == web["node"]


async def test_an_upgrade_is_told_attribute_by_attribute(
    stacks: StackRest, deploy_db: Database, deploy_neighbours: Neighbours
) -> None:
    await _nodes(stacks, deploy_neighbours, 2)
    await stacks.created(service("web", env=["A=1"], instances=2), service("old"), service("same"))
    before = await snapshot(deploy_db)
    plan = (await stacks.plan(document(service("web", image="busybox:2"), service("same"), service("new")))).body
    assert (plan["revision"], plan["changed"]) == (2, True)
    found: dict[str, Any] = {item["name"]: item for item in plan["services"]}
    assert {name: item["action"] for name, item in found.items()} == {
        "web": "change",
        "same": "keep",
        "new": "create",
        "old": "remove",
    }
    assert plan["services"][-1]["name"] == "old"
    changes = {item["attribute"]: (item.get("before"), item.get("after")) for item in found["web"]["changes"]}
    assert changes == {"image": ("busybox:1", "busybox:2"), "env": (["A=1"], []), "instances": (2.0, 1.0)}
    assert found["same"]["changes"] == []
    assert await snapshot(deploy_db) == before


async def test_the_same_document_changes_nothing(stacks: StackRest) -> None:
    await stacks.created()
    plan = (await stacks.plan(document())).body
    assert (plan["revision"], plan["changed"]) == (1, False)
    assert {item["action"] for item in plan["services"]} == {"keep"}
    # Nothing is connected in this grid, and the plan says so.
    assert all("no nodes are available" in item["placements"][0]["reason"] for item in plan["services"])


async def test_a_plan_raises_the_errors_of_the_real_thing(stacks: StackRest, rest: Rest, deploy_db: Database) -> None:
    await stacks.created()
    await rest.created("app", links=[link("shop/db")])
    before = await snapshot(deploy_db)
    for wrong in (document(service("web")), document(service("a", env=["X"])), document(expose="x"), {}):
        planned, real = await stacks.plan(wrong), await stacks.put(wrong)
        assert (planned.status, planned.body) == (real.status, real.body)
        assert planned.status == 422
    taken = await stacks.plan_new(document())
    assert taken.body == {"error": {"name": "Stack with this name already exists"}}
    assert (await stacks.plan(document(), "g1/gone")).status == 404
    assert (await stacks.plan(document(), "g1/null")).status == 422
    assert await snapshot(deploy_db) == before
