"""Services over REST: the conformance list of docs/spec/deploy_rest.md section 16, and error rows."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from services.deploy_svc.domain.service_deploy import Asked
from services.deploy_svc.domain.service_spec import Link, ServiceSpec
from services.deploy_svc.store import grids, service_deploys, services, tables
from services.deploy_svc.store.jsonb import SPEC, to_json
from services.kernel.db import Database
from tests.integration.deploy_svc.rest import Rest
from tests.integration.deploy_svc.stand_ins import GRID, OTHER_GRID, Neighbours
from tests.support.eventually import eventually

AsUser = Callable[[str | None], Rest]


async def test_a_new_service_has_the_documented_defaults(rest: Rest) -> None:
    made = await rest.create({"name": "redis", "image": "redis:3.0", "stateful": True})
    assert made.status == 201
    body = made.body
    assert (body["id"], body["state"], body["revision"], body["instances"]) == ("g1/null/redis", "initialized", 1, 1)
    assert body["stop_grace_period"] == 10
    assert body["deploy_opts"] == {"min_health": 0.8}
    assert body["stack"] == {"id": "g1/null", "name": "null"}
    assert body["dns"] == "redis.g1.kontena.local"
    assert body["instance_counts"] == {"total": 0, "running": 0}
    assert not {"health_check", "health_status"} & set(body)
    assert (await rest.get("g1/null/redis")).body == body


async def test_everything_a_client_can_say_is_shown_again(rest: Rest, deploy_neighbours: Neighbours) -> None:
    deploy_neighbours.vault.values[GRID, "PASS"] = "hidden"
    await rest.created("other")
    body = {
        "image": "redis:3.0", "stateful": True, "container_count": "2", "strategy": "ha", "user": "root",
        "cmd": "sh -c 'sleep 1'", "entrypoint": "/run", "env": ["A=1"],
        "secrets": [{"secret": "PASS", "name": "P", "type": "env"}],
        "ports": [{"ip": "127.0.0.1", "protocol": "tcp", "node_port": "80", "container_port": "8080"}],
        "links": [{"name": "other", "alias": "o"}], "affinity": ["label==a"], "volumes": ["/data"],
        "memory": 67108864, "cpus": 0.5, "cpu_shares": "10", "cap_add": ["NET_ADMIN"], "net": "host", "pid": "host",
        "log_driver": "syslog", "log_opts": {"tag": "x"}, "privileged": True, "read_only": True,
        "deploy_opts": {"min_health": None, "wait_for_port": 80, "interval": None},
        "health_check": {"port": "80", "protocol": "http", "uri": "/up", "timeout": "3"},
        "hooks": {"post_start": [{"name": "a", "cmd": "b", "instances": "*", "oneshot": False}]},
        "stop_signal": "SIGTERM", "stop_grace_period": "1m23.5s",
        "ulimits": {"nofile": 64}, "labels": {"team": "blue"}, "tmpfs": ["/run"], "sysctls": ["net.core.somaxconn=1"],
        "init": True, "extra_hosts": ["db:10.0.0.1"], "dns": ["10.0.0.53"], "working_dir": "/srv", "group_add": ["5"],
    }  # fmt: skip
    shown = await rest.created("web", **body)
    assert shown["links"] == [{"id": "g1/null/other", "alias": "o", "name": "other"}]
    assert shown["instances"] == shown["replicas"] == 2
    assert shown["cmd"] == ["sh", "-c", "sleep 1"]
    assert shown["deploy_opts"] == {"wait_for_port": 80}
    assert shown["health_check"]["interval"] == 60
    assert shown["health_status"] == {"healthy": 0, "unhealthy": 0, "total": 0}
    assert shown["hooks"] == [{"name": "a", "type": "post_start", "cmd": "b", "oneshot": False}]
    assert shown["stop_grace_period"] == 83
    assert "hidden" not in str(shown)
    again = await rest.put(shown)
    assert (again.status, again.body) == (200, shown)


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        ({"stateful": None}, {"stateful": "Stateful can't be nil"}),
        ({"env": ["FOO"]}, {"env": ["Env[0] isn't in the right format"]}),
        ({"env": ["A=1", "FOO"]}, {"env": [None, "Env[1] isn't in the right format"]}),
        ({"links": [{"name": "nope", "alias": "a"}]}, {"links": ["Service null/nope does not exist"]}),
        ({"links": [{"name": "shop/db", "alias": "a"}]}, {"links": ["Stack shop does not exist"]}),
        ({"secrets": [{"secret": "X", "name": "X"}]}, {"secrets": ["Secret X does not exist"]}),
        ({"volumes": ["data:/x"]}, {"volumes": ["Volume data does not exist"]}),
        ({"certificates": [{"subject": "a", "name": "A"}]}, {"certificates": ["Certificate a does not exist"]}),
    ],
)
async def test_bad_attributes_are_refused_and_nothing_is_stored(
    rest: Rest, body: dict[str, Any], errors: dict[str, Any]
) -> None:
    refused = await rest.create({"name": "web", "image": "a", "stateful": False, **body})
    assert (refused.status, refused.body) == (422, {"error": errors})
    assert (await rest.get()).status == 404
    assert (await rest.list()).body == {"services": []}


async def test_certificates_of_the_grid_can_be_used(rest: Rest, deploy_neighbours: Neighbours) -> None:
    deploy_neighbours.vault.certificates = {(GRID, "a.test"): "bundle", (OTHER_GRID, "b.test"): "bundle"}
    used = [{"subject": "a.test", "name": "SSL_CERTS"}]
    made = await rest.create({"name": "web", "image": "a", "stateful": False, "certificates": used})
    assert (made.status, made.body["certificates"]) == (201, [{**used[0], "type": "env"}])
    refused = await rest.put({"certificates": [*used, {"subject": "b.test", "name": "B"}]})
    assert refused.body == {"error": {"certificates": ["Certificate b.test does not exist"]}}
    deploy_neighbours.vault.down = True
    assert (await rest.put({"certificates": used})).status == 503
    assert (await rest.put({"certificates": []})).status == 200


async def test_a_missing_attribute_is_named(rest: Rest) -> None:
    refused = await rest.create({"name": "redis", "image": "redis:3.0"})
    assert (refused.status, refused.body) == (422, {"error": {"stateful": "Stateful is required"}})


async def test_errors_of_several_kinds_come_together(rest: Rest) -> None:
    await rest.created()
    refused = await rest.create(
        {
            "name": "web", "image": "a", "stateful": True, "volumes_from": ["x"], "strategy": "best",
            "links": [{"name": "no", "alias": "a"}], "secrets": [{"secret": "S", "name": "S"}], "volumes": ["bad"],
            "certificates": [{"subject": "a", "name": "A"}],
            "health_check": {"protocol": "tcp", "port": 1, "timeout": 9, "interval": 1},
        }
    )  # fmt: skip
    assert refused.status == 422
    assert set(refused.body["error"]) == {
        "name", "volumes_from", "strategy", "links", "secrets", "volumes", "certificates", "health_check",
    }  # fmt: skip


async def test_a_name_is_taken_once_however_many_ask(rest: Rest) -> None:
    body = {"name": "web", "image": "a", "stateful": False}
    answers = await asyncio.gather(*(rest.create(body) for _ in range(8)))
    assert sorted(answer.status for answer in answers) == [201, *[422] * 7]
    assert all(list(answer.body["error"]) == ["name"] for answer in answers if answer.status == 422)


async def test_too_long_host_names_are_refused(rest: Rest) -> None:
    refused = await rest.create({"name": "w" * 60, "image": "a", "stateful": False})
    assert (refused.status, list(refused.body["error"])) == (422, ["name"])


async def test_put_merges_env_and_bumps_the_revision_only_for_a_change(rest: Rest) -> None:
    await rest.created(env=["FOO=1", "BAR=2"])
    first = (await rest.put({"env": ["FOO="]})).body
    assert (first["env"], first["revision"]) == (["FOO=1"], 2)
    second = (await rest.put({"env": ["FOO="]})).body
    assert second == first
    forced = (await rest.put({"force": True})).body
    assert forced["revision"] == 3
    assert forced["updated_at"] > first["updated_at"]


async def test_put_clears_with_an_empty_list_and_ignores_null(rest: Rest) -> None:
    await rest.created("db")
    made = await rest.created(links=[{"name": "db", "alias": "db"}])
    assert (await rest.put({})).body == made
    assert (await rest.put({"links": None})).body == made
    assert (await rest.put({"links": []})).body["links"] == []


async def test_put_clears_single_deploy_options(rest: Rest) -> None:
    await rest.created(deploy_opts={"wait_for_port": 80, "interval": 60})
    assert (await rest.put({"deploy_opts": {"wait_for_port": None}})).body["deploy_opts"] == {
        "interval": 60, "min_health": 0.8,
    }  # fmt: skip


async def test_put_switches_the_health_check_off(rest: Rest) -> None:
    await rest.created(health_check={"port": 80, "protocol": "http"})
    body = (await rest.put({"health_check": {"port": None, "protocol": None}})).body
    assert not {"health_check", "health_status"} & set(body)


async def test_a_refused_put_changes_nothing(rest: Rest) -> None:
    made = await rest.created()
    refused = await rest.put({"image": "other", "links": [{"name": "no", "alias": "a"}]})
    assert (refused.status, list(refused.body["error"])) == (422, ["links"])
    assert (await rest.get()).body == made


async def test_concurrent_puts_all_count(rest: Rest) -> None:
    await rest.created()
    answers = await asyncio.gather(*(rest.put({"user": f"u{number}"}) for number in range(6)))
    assert sorted(answer.body["revision"] for answer in answers) == [2, 3, 4, 5, 6, 7]


async def test_the_default_affinity_of_the_grid_is_shown(rest: Rest, deploy_neighbours: Neighbours) -> None:
    await rest.created()
    deploy_neighbours.grids.put_grid(GRID, "g1", "label==ssd")

    async def shown() -> bool:
        affinity: list[str] = (await rest.get()).body["affinity"]
        return affinity == ["label==ssd"]

    await eventually(shown)
    assert (await rest.put({"affinity": ["label==own"]})).body["affinity"] == ["label==own"]


async def test_a_linked_service_cannot_be_deleted(rest: Rest) -> None:
    await rest.created("db")
    await rest.created(links=[{"name": "db", "alias": "db"}])
    refused = await rest.delete("g1/null/db")
    assert (refused.status, list(refused.body["error"])) == (422, ["service"])
    assert "null/web" in refused.body["error"]["service"]
    assert (await rest.delete("g1/null/web")).status == 200
    assert (await rest.delete("g1/null/db")).status == 200
    assert (await rest.get("g1/null/db")).status == 404


async def test_linking_and_deleting_at_once_never_leaves_a_dangling_link(rest: Rest) -> None:
    for number in range(5):
        await rest.created("db")
        link = {"name": f"web{number}", "image": "a", "stateful": False, "links": [{"name": "db", "alias": "d"}]}
        linked, deleted = await asyncio.gather(rest.create(link), rest.delete("g1/null/db"))
        assert {(201, 422): True, (422, 200): True}.get((linked.status, deleted.status)), (linked, deleted)
        await rest.delete(f"g1/null/web{number}")
        await rest.delete("g1/null/db")


@pytest.mark.parametrize(
    "path", ["g1/null/none", "g1/none/web", "g1/web", "g1/null/web/x", "none/null/web", "g1//", "g1/null/\0"]
)
async def test_unknown_paths_are_not_found(rest: Rest, path: str) -> None:
    await rest.created()
    calls = [rest.get(path), rest.put({}, path), rest.delete(path), rest.deploy(path), rest.scale(1, path)]
    calls += [rest.start(path), rest.stop(path), rest.restart(path), rest.get_deploy("a" * 24, path), rest.logs(path)]
    for answer in await asyncio.gather(*calls):
        assert (answer.status, answer.body) == (404, {"error": "Not found"})


async def test_strangers_get_403_viewers_may_look_and_nobody_is_401(rest: Rest, rest_as: AsUser) -> None:
    await rest.created()
    for token, read, write in (("stranger", 403, 403), ("viewer", 200, 403), ("admin", 200, 200), (None, 401, 401)):
        user = rest_as(token)
        for call in (user.list(), user.get(), user.logs()):
            assert (await call).status == read
        for call in (user.put({}), user.deploy(), user.scale(1), user.start(), user.stop(), user.restart()):
            assert (await call).status == write
    assert (await rest_as("viewer").create({})).status == 403
    assert (await rest.list("none")).status == 404
    assert (await rest.list("g2")).body == {"error": "Access denied"}


async def test_the_list_is_newest_first_and_knows_stacks(rest: Rest, deploy_db: Database) -> None:
    await rest.created("a")
    await rest.created("b")
    async with deploy_db.transaction() as tx:
        spec = ServiceSpec(image="x", stateful=False, links=(Link("null", "a", "l"), Link("null", "gone", "g")))
        await services.insert(tx, grid_id=GRID, grid="g1", stack="shop", name="c", spec=spec)
        await services.insert(tx, grid_id=OTHER_GRID, grid="g2", stack="null", name="d", spec=spec)
    found = (await rest.list()).body["services"]
    assert [service["id"] for service in found] == ["g1/shop/c", "g1/null/b", "g1/null/a"]
    assert found[0]["dns"] == "c.shop.g1.kontena.local"
    assert found[0]["links"] == [{"id": "g1/null/a", "alias": "l", "name": "a"}]
    assert [service["name"] for service in (await rest.list(stack="shop")).body["services"]] == ["c"]
    assert [service["name"] for service in (await rest.list(stack="null")).body["services"]] == ["b", "a"]
    unknown = await rest.list(stack="nope")
    assert (unknown.status, unknown.body) == (404, {"error": "Stack not found"})


async def test_a_thousand_services_take_as_many_queries_as_one(
    rest: Rest, deploy_db: Database, deploy_queries: Callable[[str], Any]
) -> None:
    await rest.created("a")
    with deploy_queries("ListServices") as one:
        await rest.list()
    rows = [
        {"id": f"{number:024x}", "grid_id": GRID, "grid": "g1", "stack": "null", "name": f"s{number}",
         "spec": to_json(SPEC, ServiceSpec(image="x", stateful=False, links=(Link("null", "a", "l"),)))}
        for number in range(1000)
    ]  # fmt: skip
    async with deploy_db.transaction() as tx:
        await tx.execute(tables.services.insert(), rows)
    with deploy_queries("ListServices") as many:
        assert len((await rest.list()).body["services"]) == 1001
    assert len(many) <= len(one) + 1 <= 4


async def test_secrets_must_exist_and_their_values_stay_out(
    rest: Rest, deploy_neighbours: Neighbours, deploy_db: Database
) -> None:
    deploy_neighbours.vault.values[GRID, "PASS"] = "the-hidden-value"
    body = {"secrets": [{"secret": "PASS", "name": "A"}, {"secret": "NO", "name": "B"}, {"secret": "NO", "name": "C"}]}
    refused = await rest.create({"name": "web", "image": "a", "stateful": False, **body})
    assert refused.body == {"error": {"secrets": ["Secret NO does not exist"]}}
    made = await rest.created(secrets=[{"secret": "PASS", "name": "A"}])
    assert made["secrets"] == [{"secret": "PASS", "name": "A", "type": "env"}]
    async with deploy_db.read() as tx:
        for table in (tables.services, tables.outbox.table):
            assert "the-hidden-value" not in str((await tx.execute(sa.select(table))).all())


async def test_single_variables_are_added_as_they_are_and_removed_by_name(
    rest: Rest, deploy_neighbours: Neighbours
) -> None:
    await rest.created(env=["A=1"])
    assert (await rest.add_env("A=2")).body == {}
    assert (await rest.add_env("B= x=y ")).body == {}
    for variable in ("=x", "A=\0", ""):
        assert (await rest.add_env(variable)).status == 422
    service = (await rest.get()).body
    assert (service["env"], service["revision"]) == (["A=1", "A=2", "B= x=y "], 3)
    assert (await rest.remove_env("A")).body == {}
    service = (await rest.get()).body
    assert (service["env"], service["revision"]) == (["B= x=y "], 4)
    for unknown in ("A", "a", "B=", ""):
        assert (await rest.remove_env(unknown)).body == {}
    assert (await rest.get()).body == service
    for wrong, text in ((None, "Env can't be nil"), ("", "Env can't be blank"), ("x" * 131073, "Env is too long")):
        refused = await rest.add_env(wrong)
        assert (refused.status, refused.body) == (422, {"error": {"env": text}})
    assert (await rest.get()).body == service
    assert (await rest.add_env("A=1", "g1/null/none")).status == 404

    async def audited() -> bool:
        events = [event for event, _ in deploy_neighbours.audit.seen()]
        return events.count("add_env") == 2 and events.count("remove_env") == 5

    await eventually(audited)


async def test_a_silent_vault_is_503_and_changes_nothing(rest: Rest, deploy_neighbours: Neighbours) -> None:
    deploy_neighbours.vault.down = True
    refused = await rest.create(
        {"name": "web", "image": "a", "stateful": False, "secrets": [{"secret": "A", "name": "A"}]}
    )
    assert refused.status == 503
    assert (await rest.list()).body == {"services": []}


async def test_every_mutation_is_audited(rest: Rest, deploy_neighbours: Neighbours) -> None:
    await rest.created()
    for call in (rest.put({"user": "a"}), rest.deploy(), rest.scale(2), rest.stop(), rest.start(), rest.restart()):
        assert (await call).status == 200
    assert (await rest.delete()).status == 200
    names = ["create", "update", "deploy", "scale", "stop", "start", "restart", "delete"]

    async def all_there() -> bool:
        return [name for name, _ in deploy_neighbours.audit.seen()] == names

    await eventually(all_there)
    for event in deploy_neighbours.audit.events.values():
        assert (event.resource_type, event.resource_name, event.grid, event.user_email) == (
            "GridService", "web", "g1", "member@example.test",
        )  # fmt: skip


async def test_services_of_a_deleted_grid_go_away(
    rest: Rest, deploy_neighbours: Neighbours, deploy_db: Database
) -> None:
    await rest.created()
    async with deploy_db.transaction() as tx:
        service = await services.find(tx, GRID, "null", "web")
        assert service is not None
        await service_deploys.insert(tx, service.id, Asked("deploy"))
        spec = ServiceSpec(image="x", stateful=False)
        await services.insert(tx, grid_id=OTHER_GRID, grid="g2", stack="null", name="stays", spec=spec)
        # A grid that grid_svc knows and we do not know yet.
        await services.insert(tx, grid_id="c" * 24, grid="g3", stack="null", name="stays", spec=spec)
    deploy_neighbours.grids.hidden["g3"] = deploy_neighbours.grids.grids.records[GRID].__class__(id="c" * 24, name="g3")
    deploy_neighbours.grids.grids.remove(GRID)

    async def gone() -> bool:
        async with deploy_db.read() as tx:
            return await grids.with_data(tx) == {OTHER_GRID: "g2", "c" * 24: "g3"}

    await eventually(gone)
