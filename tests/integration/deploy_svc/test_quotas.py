"""What a grid or a user may have of deploy_svc, and what whoever wants more is told."""

from collections.abc import AsyncIterator, Awaitable
from functools import partial

import pytest
import sqlalchemy as sa

from kontena.deploy.v1 import service_pb2
from services.deploy_svc import app
from services.deploy_svc.settings import Settings
from services.deploy_svc.store import stack_tables
from services.kernel.db import Database
from tests.integration.deploy_svc.rest import Answer, Rest
from tests.integration.deploy_svc.stack_rest import StackRest, document, service
from tests.support.running import Running, running

KIB = 1024
PLAIN = {"image": "busybox:1", "stateful": False}
FEW = {
    "services_per_grid": 3,
    "stacks_per_grid": 1,
    "volumes_per_grid": 1,
    "service_bytes": 4 * KIB,
    "stack_bytes": 10 * KIB,
    "spec_bytes_per_grid": 17 * KIB,
    "idempotency_bytes_per_user": 8 * KIB,
}


@pytest.fixture
async def small(deploy_settings: Settings, _clean: None) -> AsyncIterator[Running]:
    """A service with quotas that tests can meet."""
    async with running(partial(app.build, deploy_settings.model_copy(update=FEW))) as served:
        yield served


@pytest.fixture
def small_rest(small: Running) -> Rest:
    return Rest(small.channel, "member")


@pytest.fixture
def stacks(small: Running) -> StackRest:
    return StackRest(small.channel)


def full(name: str, what: str) -> str:
    return f"There may be {FEW[name]} {what}. Remove some, or ask an operator for more: the setting is {name.upper()}"


def bulky(kib: float) -> list[str]:
    return [f"A={'x' * int(kib * KIB)}"]


async def test_a_grid_has_so_many_services_and_room_for_one_when_one_goes(
    small: Running, small_rest: Rest, stacks: StackRest
) -> None:
    for number in range(3):
        await small_rest.created(f"s-{number}")
    more = {"name": "more", **PLAIN}
    refused = await small_rest.create(more)
    text = full("services_per_grid", "services in a grid")
    assert (refused.status, refused.body) == (422, {"error": {"name": text}})
    admin = Rest(small.channel, "admin")
    assert (await admin.create(more, grid="g2")).status == 201, "other grids have their own"
    refused = await stacks.create(document(service("web")))
    assert refused.body == {"error": {"services": {"web": {"name": text}}}}
    assert (await stacks.list()).body == {"stacks": []}, "nothing of it is left"
    assert (await small_rest.delete("g1/null/s-0")).status == 200
    assert (await small_rest.create(more)).status == 201


async def test_a_grid_has_so_many_stacks_and_volumes(stacks: StackRest) -> None:
    await stacks.created(service("web"))
    refused = await stacks.create(document(service("web"), name="other"))
    assert refused.body == {"error": {"name": full("stacks_per_grid", "stacks in a grid")}}
    volume = {"name": "data", "scope": "grid", "driver": "local"}
    assert (await stacks.create_volume(volume)).status == 201
    refused = await stacks.create_volume({**volume, "name": "more"})
    assert refused.body == {"error": {"name": full("volumes_per_grid", "volumes in a grid")}}


async def test_a_service_is_so_large_however_it_gets_there(small_rest: Rest, stacks: StackRest) -> None:
    text = full("service_bytes", "bytes in one service, as JSON")
    refused = await small_rest.create({"name": "web", **PLAIN, "env": bulky(4)})
    assert (refused.status, refused.body) == (422, {"error": {"service": text}})
    await small_rest.created("web", env=bulky(2))
    for change in (small_rest.put({"env": bulky(4)}), small_rest.add_env(bulky(3)[0].replace("A", "B"))):
        refused = await change
        assert (refused.status, refused.body) == (422, {"error": {"service": text}})
    assert (await small_rest.put({"env": ["A=1"]})).status == 200
    refused = await stacks.create(document(service("big", env=bulky(4))))
    assert refused.body == {"error": {"services": {"big": {"service": text}}}}


async def test_a_stack_document_is_so_large(stacks: StackRest) -> None:
    text = full("stack_bytes", "bytes in the document of one stack, as JSON")
    refused = await stacks.create(document(service("web"), source="x" * 11 * KIB))
    assert (refused.status, refused.body) == (422, {"error": {"stack": text}})
    await stacks.created(service("web"))
    refused = await stacks.put(document(service("web"), source="x" * 11 * KIB))
    assert (refused.status, refused.body) == (422, {"error": {"stack": text}})
    assert (await stacks.put(document(service("web"), source="x" * KIB))).status == 200


async def test_all_that_a_grid_says_is_so_large(small_rest: Rest, stacks: StackRest) -> None:
    text = full("spec_bytes_per_grid", "bytes in the services and stacks of a grid, as JSON")
    await stacks.created(service("web"), source="x" * 9 * KIB)
    await small_rest.created("one", env=bulky(3))
    await small_rest.created("two", env=bulky(2))
    refused = await small_rest.put({"env": bulky(3.2)}, "g1/null/two")
    assert (refused.status, refused.body) == (422, {"error": {"service": text}})
    # What does not grow is nobody's business, however full a grid is.
    assert (await small_rest.put({"env": bulky(1)}, "g1/null/two")).status == 200


async def test_revisions_of_a_stack_do_not_pile_up(stacks: StackRest, deploy_db: Database) -> None:
    await stacks.created(service("web"))
    for number in range(25):
        assert (await stacks.put(document(service("web"), version=f"0.{number}.1"))).status == 200
    async with deploy_db.read() as tx:
        kept = list((await tx.execute(sa.select(stack_tables.stack_revisions.c.revision))).scalars())
    assert sorted(kept) == list(range(7, 27))


async def test_answers_to_repeated_requests_take_so_much(small: Running, stacks: StackRest) -> None:
    def keyed(key: str) -> Awaitable[Answer]:
        request = service_pb2.ScaleServiceRequest(id="g1/shop/web", instances=2)
        return stacks._call(stacks._services.ScaleService, request, idempotency_key=key)

    await stacks.created(service("web"))
    answers = [await keyed(f"key-{number}") for number in range(40)]
    refused = [answer for answer in answers if answer.status != 200]
    assert 0 < len(refused) < 35
    what = "bytes of answers that are kept for repeated requests of a user, until they are IDEMPOTENCY_HOURS old"
    text = full("idempotency_bytes_per_user", what)
    assert {(answer.status, answer.body["error"]) for answer in refused} == {(429, text)}
    assert (await keyed("key-0")).body == answers[0].body, "what is kept is answered"
    stacks = StackRest(small.channel, "grid-admin")
    assert (await keyed("key-0")).status == 200, "others have their own"
