"""A vault_svc that takes questions and answers none holds up what needs a value of it, and nothing else."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from kontena.deploy.v1 import assignment_pb2 as pb
from services.deploy_svc.domain.service_spec import SecretRef
from services.deploy_svc.usecases import assignment_feed
from services.kernel.client import ask
from tests.integration.deploy_svc.engine_fixtures import Agent, Engine, engine
from tests.integration.deploy_svc.stand_ins import GRID, NODE_1
from tests.support.eventually import eventually
from tests.support.postgres import empty_tables
from tests.support.running import Running

VALUE = "s3cr3t-value-0815"


@pytest.fixture
async def world(engine_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Engine]:
    """An instance that waits for a value fails after 1.2 s. A question to vault_svc may take longer than any test, so
    what waited for its answer would not come."""
    monkeypatch.setattr(ask, "__defaults__", (600.0,))
    await empty_tables(engine_url, "deploy")
    async with engine(engine_url, grace_factor=0.02) as found:
        found.node(NODE_1, 1)
        found.around.vault.values[GRID, "one"] = VALUE
        yield found
        found.around.vault.hung = False


async def first_of(agent: Agent) -> pb.AttachResponse:
    async def received() -> bool:
        return bool(agent.received)

    await eventually(received, message="the first message")
    return agent.received[0]


async def values_of(agent: Agent, service_id: str) -> list[str]:
    found = (item for item in agent.assigned.values() if item.service_id == service_id and not item.error)
    return [secret.value for item in found for secret in item.secrets]


async def deployed(world: Engine, service_id: str) -> bool:
    return (await world.finished(service_id, await world.deploy(service_id))).state == "success"


async def attached(world: Engine) -> tuple[Running, Agent]:
    replica = await world.start_replica()
    return replica, world.attach(replica, NODE_1)


async def test_deploys_and_stops_of_services_without_secrets_go_on(world: Engine) -> None:
    _, agent = await attached(world)
    world.around.vault.hung = True
    for name in ("first", "second"):
        service_id = await world.service(name)
        assert await deployed(world, service_id), name
    await world.stop(service_id)

    async def stopped() -> bool:
        return "stopped" in {item.desired_state for item in agent.assigned.values()}

    await eventually(stopped)


async def test_what_waits_fails_after_its_deadline_with_the_reason_and_comes_with_the_answer(world: Engine) -> None:
    _, agent = await attached(world)
    world.around.vault.hung = True
    service_id = await world.service("secret", secrets=(SecretRef("one", "A"),))
    result = await world.finished(service_id, await world.deploy(service_id))
    assert result.state == "error"
    assert "vault_svc does not answer: the secrets" in (result.instance_deploys[0].error or "")
    world.around.vault.hung = False

    async def complete() -> bool:
        return await values_of(agent, service_id) == [VALUE]

    await eventually(complete)


async def test_the_first_message_comes_at_once_and_is_the_whole_snapshot(world: Engine) -> None:
    replica, agent = await attached(world)
    plain, secret = await world.service("plain"), await world.service("secret", secrets=(SecretRef("one", "A"),))
    for service_id in (plain, secret):
        assert await deployed(world, service_id)
    world.around.vault.hung = True
    agent.close()
    again = world.attach(replica, NODE_1)
    # An agent that comes back tells at once what it sees: no answer to that may overtake the snapshot.
    await again.report()
    snapshot = (await first_of(again)).snapshot.assignments
    assert {item.service_id: bool(item.error) for item in snapshot} == {plain: False, secret: True}
    world.around.vault.hung = False

    async def complete() -> bool:
        return await values_of(again, secret) == [VALUE] and again.acked > 0

    await eventually(complete)


async def test_a_secret_that_does_not_open_is_named_and_holds_up_nobody_else(world: Engine) -> None:
    world.around.vault.values[GRID, "closed"] = VALUE
    world.around.vault.unreadable.add((GRID, "closed"))
    _, agent = await attached(world)
    refused = await world.service("refused", secrets=(SecretRef("one", "A"), SecretRef("closed", "B")))
    others = await world.service("others", secrets=(SecretRef("one", "A"),))
    deploys = {name: await world.deploy(name) for name in (refused, others)}
    ended = await world.finished(refused, deploys[refused])
    assert ended.state == "error"
    text = "Secret closed was written with another key than vault_svc has: write it anew"
    assert text in (ended.instance_deploys[0].error or "")
    assert (await world.finished(others, deploys[others])).state == "success"
    assert await values_of(agent, others) == [VALUE]
    # Not even the one that opens.
    assert await values_of(agent, refused) == []
    world.around.vault.unreadable.clear()
    assert (await world.finished(refused, await world.deploy(refused))).state == "success"
    assert await values_of(agent, refused) == [VALUE, VALUE]


async def test_a_value_that_is_named_a_thousand_times_is_too_much_for_its_instance_alone(world: Engine) -> None:
    """A message of half a gibibyte would reach no agent, and so would nothing else on that node."""
    world.around.vault.values[GRID, "long"] = "x" * 131_072
    _, agent = await attached(world)
    many = tuple(SecretRef("long", f"V{number}") for number in range(129))
    refused, others = await world.service("refused", secrets=many), await world.service("others")
    deploys = {name: await world.deploy(name) for name in (refused, others)}
    ended = await world.finished(refused, deploys[refused])
    assert ended.state == "error"
    assert "have 16,908,288 bytes together" in (ended.instance_deploys[0].error or "")
    assert (await world.finished(others, deploys[others])).state == "success"
    assert sum(item.ByteSize() for item in agent.received) < 100_000


LARGE: list[dict[str, Any]] = [
    {"secrets": (SecretRef("one", "one", path="/token", mode="0400"),)},
    {"secrets": (SecretRef("one", "ONE"),)},
    {"env": tuple(f"V{number}={'x' * 200}" for number in range(100))},
]


@pytest.mark.parametrize("spec", LARGE, ids=["files", "secrets", "variables"])
async def test_more_than_fits_into_a_message_follows_in_others(
    world: Engine, monkeypatch: pytest.MonkeyPatch, spec: dict[str, Any]
) -> None:
    replica, agent = await attached(world)
    made = [await world.service(name, **spec) for name in ("first", "second")]
    for service_id in made:
        assert (await world.finished(service_id, await world.deploy(service_id))).state == "success"
    agent.close()
    monkeypatch.setattr(assignment_feed, "MOST_BYTES", 1)
    again = world.attach(replica, NODE_1)
    snapshot = (await first_of(again)).snapshot.assignments
    assert {item.service_id for item in snapshot} == set(made), "what is not in it would be removed"
    # None of them where vault_svc takes its time.
    assert sum(not item.error for item in snapshot) <= 1
    assert all(len(item.pod.env) < 100 for item in snapshot if item.error)

    async def complete() -> bool:
        found = again.assigned.values()
        return not any(item.error for item in found) and all(
            len(item.files) + len(item.secrets) == len(spec.get("secrets", ()))
            and set(spec.get("env", ())) <= set(item.pod.env)
            for item in found
        )

    await eventually(complete)
