"""Stacks over REST: documents, revisions, rules (docs/spec/deploy_rest.md sections 3 and 13)."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest
import sqlalchemy as sa

from services.deploy_svc.store import tables
from services.kernel.db import Database
from tests.integration.deploy_svc.rest import Rest
from tests.integration.deploy_svc.stack_rest import StackRest, document, link, service, snapshot
from tests.integration.deploy_svc.stand_ins import GRID, Neighbours
from tests.support.eventually import eventually
from tests.support.running import Running

NOT_EXTERNAL = "Only external volumes can be used: `external` names a volume of the grid"

LINKED = "Cannot delete service that is linked to another service"
MORE = "the stack has none of that name, and other stacks are named: stack/service"


@pytest.fixture
def stacks(deploy: Running) -> StackRest:
    return StackRest(deploy.channel)


async def test_a_new_stack_has_its_services_and_deploys_nothing(stacks: StackRest, deploy_db: Database) -> None:
    made = await stacks.created(expose="web", variables={"a": 1}, metadata={"m": [True]}, labels=["team=x"])
    assert (made["id"], made["name"], made["state"], made["revision"]) == ("g1/shop", "shop", "initialized", 1)
    assert (made["stack"], made["version"], made["registry"]) == ("me/shop", "0.1.0", "file://")
    assert (made["expose"], made["source"]) == ("web", "services: {}\n")
    assert (made["variables"], made["metadata"], made["labels"]) == ({"a": 1.0}, {"m": [True]}, ["team=x"])
    assert made["children"] == []
    assert "parent" not in made
    by_name = {item["name"]: item for item in made["services"]}
    assert set(by_name) == {"web", "db"}
    assert by_name["web"]["id"] == "g1/shop/web"
    assert by_name["web"]["stack"] == {"id": "g1/shop", "name": "shop"}
    assert by_name["web"]["dns"] == "web.shop.g1.kontena.local"
    assert by_name["web"]["links"] == [{"id": "g1/shop/db", "alias": "db", "name": "shop/db"}]
    assert {item["state"] for item in made["services"]} == {"initialized"}
    assert (await stacks.get()).body == made
    assert (await stacks.list()).body["stacks"] == [made]
    async with deploy_db.read() as tx:
        assert (await tx.execute(sa.select(tables.service_deploys.c.id))).all() == []


async def test_a_missing_stack_is_not_found(stacks: StackRest) -> None:
    for call in (stacks.get(), stacks.delete(), stacks.deploy(), stacks.stop(), stacks.put(document())):
        assert (await call).status == 404
    assert (await stacks.get("g1/é")).status == 404
    assert (await stacks.get("nowhere/shop")).status == 404


async def test_strangers_are_refused_and_viewers_may_only_look(deploy: Running, stacks: StackRest) -> None:
    await stacks.created()
    stranger, viewer = StackRest(deploy.channel, "stranger"), StackRest(deploy.channel, "viewer")
    for call in (stranger.get(), stranger.list(), stranger.create(document(name="x")), stranger.volume_list()):
        assert (await call).status == 403
    assert (await viewer.get()).status == 200
    for call in (viewer.put(document()), viewer.deploy(), viewer.delete(), viewer.stop(), viewer.plan(document())):
        assert (await call).status == 403


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"name": None}, {"name": "Name can't be nil"}),
        ({"name": "-x"}, {"name": "Name isn't in the right format"}),
        ({"stack": ""}, {"stack": "Stack can't be blank"}),
        ({"services": []}, {"services": "A stack needs at least one service"}),
        ({"services": None}, {"services": "A stack needs at least one service"}),
        ({"name": "null"}, {"name": "Stack with this name already exists"}),
        ({"expose": "nobody"}, {"expose": "Exposed service nobody is not a service of the stack"}),
        ({"volumes": [{"name": "v"}]}, {"volumes": {"v": NOT_EXTERNAL}}),
        ({"volumes": [{"name": "v", "external": "x"}]}, {"volumes": {"v": {"external": "Volume x does not exist"}}}),
    ],
)  # fmt: skip
async def test_wrong_documents_leave_nothing_behind(
    stacks: StackRest, deploy_db: Database, changed: dict[str, Any], error: dict[str, Any]
) -> None:
    answer = await stacks.create(document(**changed))
    assert (answer.status, answer.body) == (422, {"error": error})
    assert await snapshot(deploy_db) == [0]


@pytest.mark.parametrize(
    ("services", "error"),
    [
        (
            [service("a", links=[link("b")]), service("b", links=[link("a")])],
            {"a": {"links": "service a has recursive links: a -> b -> a"}},
        ),
        ([service("a", links=[link("a")])], {"a": {"links": "service a has recursive links: a -> a"}}),
        (
            [service("a", links=[link("nobody")])],
            {"a": {"links": f"service a has missing links: nobody; {MORE}"}},
        ),
        (
            [service("a", links=[link("other/db"), link("null/gone")]), service("b")],
            {"a": {"links": ["Stack other does not exist", "Service null/gone does not exist"]}},
        ),
        ([service("a"), service("a")], {"a": {"name": "Service with this name already exists"}}),
        ([{"name": "a", "image": "x"}], {"a": {"stateful": "Stateful is required"}}),
        (
            [service("a", env=["A=1", "FOO"]), service("b", strategy="best", secrets=[{"secret": "s", "name": "S"}])],
            {
                "a": {"env": [None, "Env[1] isn't in the right format"]},
                "b": {"strategy": "Strategy best is not one of ha, daemon, random"},
            },
        ),
        ([service("a", secrets=[{"secret": "s", "name": "S"}])], {"a": {"secrets": ["Secret s does not exist"]}}),
        (
            [service("a", certificates=[{"subject": "s", "name": "S"}])],
            {"a": {"certificates": ["Certificate s does not exist"]}},
        ),
        ([service("a", volumes=["data:/data"])], {"a": {"volumes": ["Volume data does not exist"]}}),
    ],
)
async def test_errors_of_services_are_nested_and_nothing_is_left(
    stacks: StackRest, deploy_db: Database, services: list[dict[str, Any]], error: dict[str, Any]
) -> None:
    answer = await stacks.create(document(*services))
    assert (answer.status, answer.body) == (422, {"error": {"services": error}})
    assert await snapshot(deploy_db) == [0]


async def test_host_names_are_checked_in_the_domain_of_the_stack(stacks: StackRest) -> None:
    answer = await stacks.create(document(service("w" * 20), name="s" * 30))
    assert answer.status == 422
    assert "is over limit (64)" in answer.body["error"]["services"]["w" * 20]["name"]
    assert (await stacks.list()).body == {"stacks": []}


async def test_a_name_is_taken_once(stacks: StackRest) -> None:
    await stacks.created()
    again = await stacks.create(document())
    assert (again.status, again.body) == (422, {"error": {"name": "Stack with this name already exists"}})


async def test_an_update_makes_a_revision_that_waits_for_its_deploy(stacks: StackRest) -> None:
    await stacks.created()
    new = document(service("web", image="busybox:2", links=[link("db")]), service("db"), service("cache"), version="2")
    answer = await stacks.put(new)
    assert (answer.status, answer.body["revision"], answer.body["version"]) == (200, 2, "2")
    images = {item["name"]: (item["image"], item.get("stack_revision")) for item in answer.body["services"]}
    assert images == {"web": ("busybox:1", None), "db": ("busybox:1", None), "cache": ("busybox:1", None)}
    assert (await stacks.put(new)).body["revision"] == 2
    deploy = (await stacks.deploy()).body
    assert deploy["stack_id"] == "g1/shop"
    assert (deploy["state"], deploy["service_deploys"], deploy["revision"]) == ("created", [], 2)
    web = (await stacks.service()).body
    assert (web["image"], web["stack_revision"], web["revision"]) == ("busybox:2", 2, 2)
    assert (await stacks.service("g1/shop/db")).body["revision"] == 1


async def test_what_an_update_leaves_out_goes_back_to_its_default(stacks: StackRest, rest: Rest) -> None:
    env = {"env": ["A=1"], "instances": 3, "cmd": ["x"], "health_check": {"port": 1, "protocol": "tcp"}, "user": "u"}
    await stacks.created(service("web", **env, deploy_opts={"wait_for_port": 1}, log_opts={"a": "b"}), expose="web")
    await stacks.put(document(service("web")))
    body = (await stacks.get()).body
    assert "expose" not in body
    await stacks.deploy()
    web = (await stacks.service()).body
    assert (web["env"], web["instances"], web["cmd"], web["log_opts"]) == ([], 1, [], {})
    assert not {"health_check", "user"} & set(web)
    assert web["deploy_opts"] == {"min_health": 0.8}
    assert web["revision"] == 2


async def test_an_existing_service_may_be_named_without_image_and_stateful(stacks: StackRest) -> None:
    await stacks.created(service("web", stateful=True, image="busybox:7"))
    assert (await stacks.put(document({"name": "web", "env": ["A=1"]}))).status == 200
    assert (await stacks.put(document({"name": "web"}, {"name": "new"}))).body == {
        "error": {"services": {"new": {"image": "Image is required", "stateful": "Stateful is required"}}}
    }
    await stacks.deploy()
    web = (await stacks.service()).body
    assert (web["image"], web["stateful"], web["env"]) == ("busybox:7", True, ["A=1"])


async def test_a_refused_update_or_deploy_changes_nothing(
    stacks: StackRest, deploy_db: Database, deploy_neighbours: Neighbours
) -> None:
    deploy_neighbours.vault.values[GRID, "pw"] = "x"
    secret = service("web", secrets=[{"secret": "pw", "name": "PW"}], image="busybox:3")
    await stacks.created()
    await stacks.put(document(service("db", image="busybox:9"), secret))
    before = await snapshot(deploy_db)
    deploy_neighbours.vault.values.clear()
    refused = await stacks.deploy()
    assert (refused.status, refused.body) == (
        422,
        {"error": {"services": {"web": {"secrets": ["Secret pw does not exist"]}}}},
    )
    assert (await stacks.put(document(service("new"), service("db", env=["X"])))).status == 422
    assert await snapshot(deploy_db) == before


async def test_a_linked_service_can_neither_be_removed_nor_its_stack(stacks: StackRest, rest: Rest) -> None:
    await stacks.created()
    await rest.created("app", links=[link("shop/db")])
    removed = await stacks.put(document(service("web")))
    assert (removed.status, removed.body) == (
        422,
        {"error": {"services": {"db": {"service": f"{LINKED}: null/app"}}}},
    )
    deleted = await stacks.delete()
    assert (deleted.status, list(deleted.body["error"])) == (422, ["service"])
    assert (await rest.put({"links": []}, "g1/null/app")).status == 200
    # The link from within the stack goes away in the same document.
    assert (await stacks.put(document(service("web")))).status == 200


async def test_a_deploy_that_cannot_remove_a_linked_service_ends_in_an_error(stacks: StackRest, rest: Rest) -> None:
    await stacks.created()
    assert (await stacks.put(document(service("web", env=["A=1"])))).status == 200
    # Linked to after the document without it was stored.
    await rest.created("app", links=[link("shop/db")])
    deploy = await stacks.deploy()
    assert deploy.status == 200
    assert (deploy.body["state"], deploy.body["service_deploys"]) == ("error", [])
    assert deploy.body["reason"] == f"deploy failed: {LINKED}: db is linked to by null/app"
    assert deploy.body["finished_at"]
    # Nothing was touched.
    shown = (await rest.get("g1/shop/web")).body
    assert (shown.get("env"), shown["revision"]) == ([], 1)
    assert (await rest.put({"links": []}, "g1/null/app")).status == 200
    assert (await stacks.deploy()).body["state"] == "created"


async def test_parents_and_children_find_each_other(stacks: StackRest) -> None:
    await stacks.created(service("a"), name="child", parent={"name": "mother"})
    child = (await stacks.get("g1/child")).body
    assert child["parent"] == {"name": "mother"}
    await stacks.created(service("a"), name="mother", parent_name="gone", parent={"id": "g1/grandmother"})
    assert (await stacks.get("g1/child")).body["parent"] == {"id": "g1/mother", "name": "mother"}
    mother = (await stacks.get("g1/mother")).body
    assert mother["children"] == [{"id": "g1/child", "name": "child"}]
    assert mother["parent"] == {"name": "grandmother"}
    listed = (await stacks.list()).body["stacks"]
    assert [(item["name"], item["children"]) for item in listed] == [("child", []), ("mother", mother["children"])]
    assert listed[0]["parent"] == {"id": "g1/mother", "name": "mother"}


async def test_metadata_stays_unless_it_is_sent(stacks: StackRest) -> None:
    await stacks.created(service("web"), metadata={"a": 1}, variables={"v": 1})
    kept = (await stacks.put(document(service("web"), version="2"))).body
    assert (kept["metadata"], kept["variables"]) == ({"a": 1.0}, {})
    assert (await stacks.put(document(service("web"), version="2", metadata={}))).body["metadata"] == {}


async def test_the_null_stack_can_be_seen_stopped_and_restarted_only(stacks: StackRest, rest: Rest) -> None:
    await rest.created("app")
    found = (await stacks.get("g1/null")).body
    assert (found["id"], found["name"], found["revision"], found["state"]) == ("g1/null", "null", 1, "initialized")
    assert [item["id"] for item in found["services"]] == ["g1/null/app"]
    assert (found["variables"], found["metadata"]) == ({}, {})
    assert (await stacks.list()).body == {"stacks": []}
    for call in (stacks.put(document(), "g1/null"), stacks.delete("g1/null"), stacks.deploy("g1/null")):
        refused = await call
        assert (refused.status, list(refused.body["error"])) == (422, ["stack"])
    assert "version" in (await stacks.put({"stack": "x"}, "g1/null")).body["error"]
    assert (await stacks.stop("g1/null")).body == {}
    assert (await rest.get("g1/null/app")).body["state"] == "stopped"
    assert (await stacks.restart("g1/null")).status == 200


async def test_the_state_is_made_from_the_services(stacks: StackRest, rest: Rest) -> None:
    await stacks.created()
    await rest.start("g1/shop/web")
    assert (await stacks.get()).body["state"] == "partially_running"
    await rest.start("g1/shop/db")
    assert (await stacks.get()).body["state"] == "running"
    await stacks.stop()
    assert (await stacks.get()).body["state"] == "stopped"


async def test_a_deleted_stack_goes_away_and_its_name_is_free_again(stacks: StackRest) -> None:
    await stacks.created()
    answer = await stacks.delete()
    assert (answer.status, answer.body) == (200, {})

    async def gone() -> bool:
        return (await stacks.get()).status == 404

    await eventually(gone)
    assert (await stacks.service()).status == 404
    await stacks.created()


async def test_deploys_of_a_stack_are_found_by_id_only(stacks: StackRest) -> None:
    await stacks.created()
    await stacks.created(service("web"), name="other")
    deploy = (await stacks.deploy()).body
    assert (await stacks.get_deploy(deploy["id"])).body["id"] == deploy["id"]
    for wrong in (stacks.get_deploy("foo"), stacks.get_deploy("f" * 24), stacks.get_deploy(deploy["id"], "g1/other")):
        answer = await wrong
        assert (answer.status, answer.body) == (404, {"error": "Not found"})


async def test_every_mutation_is_audited(stacks: StackRest, deploy_neighbours: Neighbours) -> None:
    await stacks.created()
    for call in (stacks.put(document(version="2")), stacks.deploy(), stacks.stop(), stacks.restart(), stacks.delete()):
        assert (await call).status == 200

    async def audited() -> bool:
        seen = [event for event, name in deploy_neighbours.audit.seen() if name == "shop"]
        return seen == ["create", "update", "deploy", "stop", "restart", "delete"]

    await eventually(audited)


async def test_listing_stacks_costs_the_same_however_many_there_are(
    stacks: StackRest, deploy_queries: Callable[[str], AbstractContextManager[list[str]]]
) -> None:
    await stacks.created(name="s0")
    with deploy_queries("ListStacks") as one:
        await stacks.list()
    for number in range(1, 8):
        await stacks.created(name=f"s{number}")
    with deploy_queries("ListStacks") as many:
        assert len((await stacks.list()).body["stacks"]) == 8
    assert len(many) == len(one) <= 6
    assert not [text for text in many if "stack_revisions.document," in text], "documents of stacks hold much else"
