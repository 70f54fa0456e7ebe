"""Files to documents over the API: who may, what is looked up, what is refused; each project of the room is planned."""

from typing import Any

import pytest

from services.deploy_svc.clients import converter
from services.deploy_svc.clients.converter import Converter
from services.deploy_svc.domain.stack_source import Source
from services.kernel.db import Database
from services.kernel.errors import ValidationFailed
from tests.integration.deploy_svc.stack_rest import StackRest, snapshot
from tests.integration.deploy_svc.stand_ins import GRID, Neighbours
from tests.support.running import Running
from tests.support.stack_sources import body, converted, projects

pytestmark = pytest.mark.slow

SMALL = {
    "compose.yaml": "name: shop\nservices: {web: {image: 'busybox:${TAG:-1}', volumes: ['data:/d']}}\nvolumes: {data: }"
}


@pytest.fixture(autouse=True)
def _slow_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A conversion gives way to everything else on the machine, so only what it computes may end it here."""
    monkeypatch.setattr(converter, "_SECONDS", 240.0)


@pytest.fixture
def stacks(deploy: Running) -> StackRest:
    return StackRest(deploy.channel)


@pytest.mark.parametrize("kind", ["compose", "kontena"])
async def test_each_project_is_converted_and_planned(
    stacks: StackRest, deploy_neighbours: Neighbours, kind: str
) -> None:
    for name in projects(kind):
        made = converted(kind, name).made
        assert made is not None
        for volume in made.volumes:
            assert (await stacks.create_volume({"scope": "grid", "driver": "local", **volume})).status == 201
        for secret in made.secrets:
            deploy_neighbours.vault.values[GRID, secret["name"]] = secret.get("value", "x")
        for document in (*made.dependencies, made.document):
            plan = await stacks.plan_new(document)
            assert plan.status == 200, (name, plan)
            assert len(plan.body["services"]) == len(document["services"])


async def test_nothing_is_written_and_what_exists_is_not_asked_for(
    stacks: StackRest, deploy_db: Database, deploy_neighbours: Neighbours
) -> None:
    before = await snapshot(deploy_db)
    answer = await stacks.convert({"files": SMALL})
    assert answer.body["volumes"] == [{"name": "shop-data", "scope": "stack", "driver": "local"}]
    assert await snapshot(deploy_db) == before
    assert (await stacks.create_volume(answer.body["volumes"][0])).status == 201
    assert (await stacks.convert({"files": SMALL})).body["volumes"] == []


async def test_a_stack_keeps_its_files_and_values_so_an_upgrade_says_only_what_changes(stacks: StackRest) -> None:
    first = await stacks.convert({"files": SMALL, "variables": {"TAG": "2"}})
    assert (await stacks.create_volume(first.body["volumes"][0])).status == 201
    assert (await stacks.create(first.body["stack"])).status == 201
    assert (await stacks.get()).body["variables"] == {"TAG": "2"}
    again = await stacks.convert({"name": "shop"})
    assert again.body["stack"]["services"][0]["image"] == "busybox:2"
    assert (await stacks.plan(again.body["stack"])).body["changed"] is False
    newer = await stacks.convert({"name": "shop", "variables": {"TAG": "3"}})
    plan = (await stacks.plan(newer.body["stack"])).body
    assert [(change["attribute"], change["after"]) for change in plan["services"][0]["changes"]] == [
        ("image", "busybox:3")
    ]
    edited = {"compose.yaml": SMALL["compose.yaml"].replace("TAG", "TAG:-9}${TAG")}
    assert (await stacks.convert({"name": "shop", "files": edited})).status == 200


async def test_a_secret_that_exists_is_used_and_its_value_is_nowhere(
    stacks: StackRest, deploy_neighbours: Neighbours
) -> None:
    made = await stacks.convert(body("kontena", "wordpress"))
    (secret,) = made.body["secrets"]
    assert (secret["name"], len(secret["value"])) == ("wordpress-root", 16)
    assert secret["value"] not in str(made.body["stack"])
    deploy_neighbours.vault.values[GRID, "wordpress-root"] = "kept-value"
    again = await stacks.convert(body("kontena", "wordpress"))
    assert (again.status, again.body["secrets"]) == (200, [])
    assert "kept-value" not in str(again)


async def test_refusals_name_the_place(stacks: StackRest) -> None:
    text = "name: a\nservices: {web: {image: x, build: ., ports: ['x']}}"
    refused = await stacks.convert({"files": {"compose.yaml": text}})
    assert refused.status == 422
    assert set(refused.body["error"]) == {"services.web.build", "services.web.ports[0]"}
    ignoring = await stacks.convert(
        {"files": {"compose.yaml": text.replace(", ports: ['x']", "")}, "ignore_unsupported": True}
    )
    assert [warning["path"] for warning in ignoring.body["warnings"]] == ["services.web.build"]


@pytest.mark.parametrize(
    ("asked", "attribute"),
    [
        ({}, "files"),
        ({"name": "nobody"}, "files"),
        ({"files": {"a.yaml": "x" * 600_000}}, "files"),
        ({"files": {f"{number}.yaml": "" for number in range(51)}}, "files"),
        ({"files": {"a.yaml": ""}, "kind": "helm"}, "kind"),
        ({"files": {"a.yaml": ""}, "order": ["b.yaml"]}, "order"),
        ({"files": {"a.yaml": "", "b.yaml": ""}}, "order"),
        ({"files": {"a.yaml": ""}, "variables": {str(number): 1 for number in range(501)}}, "variables"),
    ],
)
async def test_requests_that_cannot_be_converted(stacks: StackRest, asked: dict[str, Any], attribute: str) -> None:
    refused = await stacks.convert(asked)
    assert (refused.status, list(refused.body["error"])) == (422, [attribute]), refused


async def test_who_may_not_change_the_grid_converts_nothing(deploy: Running) -> None:
    assert (await StackRest(deploy.channel, "viewer").convert({"files": SMALL})).status == 403
    assert (await StackRest(deploy.channel).convert({"files": SMALL}, grid="nowhere")).status == 404


async def test_files_that_compute_without_end_are_given_up() -> None:
    """A template that takes minutes is ended by its limit, also when the machine is busy."""
    loop = "{% assign s = 'a' %}" + "{% assign s = s | append: s %}" * 16
    loop += (
        "{% for i in (1..9999) %}" + "{% assign t = s | split: '' | sort | join: ',' | size %}" * 50 + "{% endfor %}"
    )
    text = f"stack: me/loop\nversion: '1'\nservices: {{a: {{image: x}}}}\n# {loop}\n"
    with pytest.raises(ValidationFailed, match="too much time or memory"):
        await Converter(2).convert(Source({"kontena.yml": text}), kind=None, ignore_unsupported=False, known_secrets=())
