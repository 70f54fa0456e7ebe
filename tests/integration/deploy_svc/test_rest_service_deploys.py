"""Deploy, scale, start, stop and restart over REST (docs/spec/deploy_rest.md sections 4.9, 4.10 and 6)."""

import pytest
import sqlalchemy as sa

from services.deploy_svc.domain.service_deploy import Asked
from services.deploy_svc.store import service_deploys, tables
from services.kernel.db import Database
from tests.integration.deploy_svc.rest import Rest
from tests.support.eventually import eventually


async def test_a_deploy_starts_in_the_queue_and_sets_the_service_running(rest: Rest) -> None:
    made = await rest.created()
    deploy = (await rest.deploy()).body
    assert deploy["service_id"] == "g1/null/web"
    assert (deploy["state"], deploy["instance_count"], deploy["instance_deploys"]) == ("created", 1, [])
    assert not {"queued_at", "started_at", "finished_at", "reason"} & set(deploy)
    service = (await rest.get()).body
    assert (service["state"], service["revision"]) == ("running", 1)
    assert service["updated_at"] > made["updated_at"]
    assert (await rest.get_deploy(deploy["id"])).body["id"] == deploy["id"]


async def test_a_forced_deploy_bumps_the_revision(rest: Rest) -> None:
    await rest.created()
    await rest.deploy(force=True)
    assert (await rest.get()).body["revision"] == 2
    await rest.deploy(force=False)
    assert (await rest.get()).body["revision"] == 2


async def test_each_request_makes_a_deploy_of_its_own(rest: Rest) -> None:
    await rest.created()
    first, second = (await rest.deploy()).body, (await rest.deploy()).body
    assert first["id"] != second["id"]


@pytest.mark.parametrize("deploy_id", ["foo", "", "f" * 24, "é", "a/b"])
async def test_unknown_deploys_are_not_found(rest: Rest, deploy_id: str) -> None:
    await rest.created()
    answer = await rest.get_deploy(deploy_id)
    assert (answer.status, answer.body) == (404, {"error": "Not found"})


async def test_a_deploy_of_another_service_is_not_found(rest: Rest) -> None:
    await rest.created("web")
    await rest.created("db")
    deploy = (await rest.deploy("g1/null/db")).body
    assert (await rest.get_deploy(deploy["id"], "g1/null/web")).status == 404


async def test_scale_changes_the_number_but_not_the_revision(rest: Rest) -> None:
    made = await rest.created()
    deploy = (await rest.scale(3)).body
    assert (deploy["state"], deploy["instance_count"]) == ("created", 3)
    service = (await rest.get()).body
    assert (service["instances"], service["revision"], service["state"]) == (3, 1, "running")
    assert service["updated_at"] > made["updated_at"]


@pytest.mark.parametrize(
    ("instances", "message"),
    [(None, "Instances can't be nil"), (-1, "Instances is too small"), (2**31 - 1, "Instances is too big")],
)
async def test_scale_needs_a_sensible_number(rest: Rest, instances: int | None, message: str) -> None:
    made = await rest.created()
    refused = await rest.scale(instances)
    assert (refused.status, refused.body) == (422, {"error": {"instances": message}})
    assert (await rest.get()).body == made


async def test_start_stop_and_restart_move_the_desired_state_only(rest: Rest, deploy_db: Database) -> None:
    made = await rest.created()
    assert (await rest.start()).body == {}
    await _add_instance(deploy_db)
    assert (await rest.stop()).body == {}
    service = (await rest.get()).body
    assert (service["state"], service["updated_at"], service["revision"]) == ("stopped", made["updated_at"], 1)
    assert await _instance(deploy_db) == ("stopped", 0)
    await rest.start()
    assert (await rest.get()).body["state"] == "running"
    assert await _instance(deploy_db) == ("running", 0)
    assert (await rest.restart()).body == {}
    assert await _instance(deploy_db) == ("running", 1)
    assert (await rest.get()).body["updated_at"] == made["updated_at"]


async def test_a_deploy_picked_up_after_a_stop_ends_without_having_started(rest: Rest, deploy_db: Database) -> None:
    await rest.created()
    await rest.stop()
    async with deploy_db.transaction() as tx:
        service_id = (await tx.execute(sa.select(tables.services.c.id))).scalar_one()
        deploy_id = await service_deploys.insert(tx, service_id, Asked("deploy"))

    async def ended() -> bool:
        found = (await rest.get_deploy(deploy_id)).body
        return found["state"] == "error" and bool(found.get("finished_at")) and "started_at" not in found

    await eventually(ended)


async def test_counts_and_health_come_from_the_instances(rest: Rest, deploy_db: Database) -> None:
    await rest.created(health_check={"port": 80, "protocol": "tcp"})
    await _add_instance(deploy_db, state="running", container_id="c1", health="healthy")
    await _add_instance(deploy_db, number=2, state="stopped", container_id="c2", health="unhealthy")
    body = (await rest.get()).body
    assert body["instance_counts"] == {"total": 2, "running": 1}
    assert body["health_status"] == {"healthy": 1, "unhealthy": 1, "total": 2}


async def _add_instance(db: Database, number: int = 1, **values: str) -> None:
    async with db.transaction() as tx:
        service_id = (await tx.execute(sa.select(tables.services.c.id))).scalar_one()
        row = {"id": f"{number:024x}", "service_id": service_id, "grid_id": "a" * 24, "instance_number": number}
        await tx.execute(tables.instances.insert().values({**row, **values}))


async def _instance(db: Database) -> tuple[str, int]:
    columns = tables.instances.c
    async with db.read() as tx:
        row = (await tx.execute(sa.select(columns.desired_state, columns.restarts))).one()
    return row.desired_state, row.restarts
