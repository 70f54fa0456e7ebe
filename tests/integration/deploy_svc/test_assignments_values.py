"""What vault_svc adds to assignments, and the one-shot hooks that ran."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from kontena.deploy.v1 import assignment_pb2 as pb
from services.clients.registries import RegistryCredentials
from services.clients.secrets import SecretValue
from services.deploy_svc.convert.assignments import assignment_to_proto
from services.deploy_svc.domain import pod
from services.deploy_svc.domain.instance import Instance
from services.deploy_svc.domain.service_spec import CertificateRef, ConfigRef, Hook, SecretRef
from services.deploy_svc.usecases.pod_values import PodValues
from services.kernel.db import Database
from services.kernel.errors import Unavailable
from tests.integration.deploy_svc.engine_fixtures import Agent, Engine, engine
from tests.integration.deploy_svc.stand_ins import GRID, NODE_1, NODE_2
from tests.support.cluster import EPOCH, make_service
from tests.support.eventually import eventually
from tests.support.postgres import empty_tables

KEY = "-----BEGIN PRIVATE KEY-----"


class Vault:
    """The three resolvers, with values by name."""

    def __init__(self) -> None:
        self.down = False
        self.secrets = {"password": SecretValue("pw")}
        self.certificates = {"a.test": SecretValue(f"A {KEY}")}
        self.logins = {"registry.test": RegistryCredentials("me", "me@test", "https://registry.test", "hunter2")}
        self.variables = {"stack/web": (("ACME_CHALLENGE_x", SecretValue("y")),)}

    def _of(self, known: Any, names: Any) -> Any:
        if self.down:
            raise Unavailable("vault_svc does not answer")
        return {name: known[name] for name in names if name in known}

    async def resolve(self, _grid: str, names: Any) -> Any:
        return self._of(self.secrets | self.logins, names)

    async def bundles(self, _grid: str, names: Any) -> Any:
        return self._of(self.certificates, names)

    async def challenges(self, _grid: str, names: Any) -> Any:
        return self._of(self.variables, names)


def instance(number: int = 1, **spec: Any) -> Instance:
    built = pod.build(make_service(**spec), number, "n1")
    found = Instance(
        f"i{number}", "s1", number, NODE_1, "running", "r", 1, 0, built, "running", None, None, None, None, EPOCH, EPOCH
    )
    return replace(found, service="stack/web")


@pytest.fixture
async def vault(engine_url: str) -> AsyncIterator[tuple[Vault, PodValues]]:
    db = Database(engine_url, pool_size=1)
    found: Any = Vault()
    yield found, PodValues(db, found, found, found)
    await db.close()


async def test_certificates_come_after_secrets_and_challenges_last(vault: tuple[Vault, PodValues]) -> None:
    """MH-47, MH-48: the agent joins values of one name in this order."""
    _, values = vault
    refs: dict[str, Any] = {
        "secrets": (SecretRef("password", "SSL_CERTS"),),
        "certificates": (CertificateRef("a.test", "SSL_CERTS"),),
    }
    found, waiting = await values.complete(GRID, [instance(image="registry.test/app:1", **refs)])
    assert waiting == []
    message = assignment_to_proto(found[0])
    assert [(item.name, item.value) for item in message.secrets] == [
        ("SSL_CERTS", "pw"),
        ("SSL_CERTS", f"A {KEY}"),
        ("ACME_CHALLENGE_x", "y"),
    ]
    assert (message.pod.image_credentials.username, message.pod.image_credentials.password) == ("me", "hunter2")
    assert "hunter2" not in repr(found)
    assert KEY not in repr(found)


async def test_images_of_other_registries_get_no_login(vault: tuple[Vault, PodValues]) -> None:
    _, values = vault
    found, _ = await values.complete(GRID, [instance(image="other.test/app"), instance(2, image="app")])
    assert [assignment_to_proto(item).pod.HasField("image_credentials") for item in found] == [False, False]


async def test_a_missing_certificate_is_named(vault: tuple[Vault, PodValues]) -> None:
    _, values = vault
    ((found,), _) = await values.complete(GRID, [instance(certificates=(CertificateRef("b.test", "X"),))])
    assert (found.error, found.secrets) == ("Certificate b.test does not exist", ())


async def test_without_vault_only_what_needs_it_waits(vault: tuple[Vault, PodValues]) -> None:
    stand_in, values = vault
    stand_in.down = True
    plain, private = instance(1), instance(2, image="registry.test/app")
    certified = instance(3, certificates=(CertificateRef("a.test", "X"),))
    found, waiting = await values.complete(GRID, [plain, private, certified])
    assert ([item.instance for item in found], waiting) == ([plain], [private, certified])


async def test_known_logins_and_challenges_outlive_an_absent_vault(vault: tuple[Vault, PodValues]) -> None:
    stand_in, values = vault
    private = instance(image="registry.test/app")
    before, _ = await values.complete(GRID, [private])
    stand_in.down = True
    after, waiting = await values.complete(GRID, [private])
    assert ([item.filled for item in after], waiting) == ([item.filled for item in before], [])
    assert [item.certain for item in (*before, *after)] == [True, False]


SECRET_FILE = SecretRef("password", "password", path="/run/secrets/password", mode="0400", uid=1000, gid=2000)


async def test_secrets_as_files_come_with_their_content_and_in_no_variable(vault: tuple[Vault, PodValues]) -> None:
    _, values = vault
    ((found,), _) = await values.complete(GRID, [instance(secrets=(SECRET_FILE,))])
    message = assignment_to_proto(found)
    (file,) = message.files
    assert (file.path, file.mode, file.uid, file.gid) == ("/run/secrets/password", 0o400, 1000, 2000)
    assert file.content == b"pw"
    assert [item.name for item in message.secrets] == ["ACME_CHALLENGE_x"]
    assert "pw" not in repr(found).replace("password", "")


async def test_an_agent_that_knows_no_files_gets_an_error_in_their_place(vault: tuple[Vault, PodValues]) -> None:
    _, values = vault
    ((found,), _) = await values.complete(GRID, [instance(secrets=(SECRET_FILE, SecretRef("password", "PASSWORD")))])
    message = assignment_to_proto(found, files=False)
    assert "update it" in message.error
    assert (list(message.files), list(message.secrets)) == ([], [])


async def test_without_vault_a_secret_as_a_file_waits_and_a_config_that_is_gone_is_named(
    vault: tuple[Vault, PodValues],
) -> None:
    stand_in, values = vault
    stand_in.down = True
    configured = instance(2, configs=(ConfigRef("gone", path="/gone", mode="0444"),))
    ((found,), waiting) = await values.complete(GRID, [instance(secrets=(SECRET_FILE,)), configured])
    assert [item.instance_number for item in waiting] == [1]
    assert found.error == "Config gone does not exist"


# One-shot hooks.


class HookAgent(Agent):
    """An agent that asks before it runs hooks."""

    answers: dict[int, list[str]]
    numbers = itertools.count(1000)

    async def _handle(self, message: pb.AttachResponse) -> None:
        if message.WhichOneof("message") == "hook_started":
            self.answers[message.hook_started.sequence] = list(message.hook_started.run)
        await super()._handle(message)

    async def begin(self, instance_id: str, *hook_ids: str, attempt: str = "") -> list[str]:
        self.answers = getattr(self, "answers", {})
        sequence = next(self.numbers)
        asked = pb.HookStarted(sequence=sequence, instance_id=instance_id, hook_ids=hook_ids, attempt=attempt)
        await self.send(pb.AttachRequest(hook_started=asked))

        async def answered() -> bool:
            return sequence in self.answers

        await eventually(answered)
        return self.answers[sequence]


@pytest.fixture
async def world(engine_url: str) -> AsyncIterator[Engine]:
    await empty_tables(engine_url, "deploy")
    async with engine(engine_url) as found:
        found.node(NODE_1, 1)
        yield found


def oneshot(name: str, instances: str = "*") -> Hook:
    return Hook("pre_start", name, "true", instances, oneshot=True)


async def test_a_oneshot_hook_runs_once_per_instance_number(world: Engine) -> None:
    """MH-57 (the part of the master): not after a redeploy, not after a scale, each number for itself."""
    replica = await world.start_replica()
    world._tasks.append(asyncio.create_task((agent := HookAgent(replica.channel, NODE_1)).run()))
    hooks = (oneshot("init"), oneshot("third", "3"), Hook("post_start", "always", "true"))
    service_id = await world.service(instances=3, hooks=hooks)
    assert (await world.finished(service_id, await world.deploy(service_id))).state == "success"
    ids = {item.instance_number: item.id for item in await world.instances(service_id)}

    def offered(number: int) -> list[str]:
        return [hook.id for hook in agent.assigned[ids[number]].pod.hooks]

    assert offered(1) == ["pre_start/init", "post_start/always"]
    assert offered(3) == ["pre_start/init", "pre_start/third", "post_start/always"]
    assert await agent.begin(ids[3], "pre_start/init", "pre_start/third", attempt="a") == [
        "pre_start/init",
        "pre_start/third",
    ]
    # The confirmation was lost: asked again, the answer is the same; another attempt gets nothing.
    assert await agent.begin(ids[3], "pre_start/init", attempt="a") == ["pre_start/init"]
    assert await agent.begin(ids[3], "pre_start/init", attempt="b") == []
    assert await agent.begin(ids[3], "pre_start/init") == []
    assert await agent.begin(ids[1], "pre_start/init") == ["pre_start/init"]
    assert await agent.begin(ids[1], "pre_start/init") == []
    assert (await world.finished(service_id, await world.deploy(service_id))).state == "success"
    assert offered(3) == ["post_start/always"]
    assert offered(1) == ["post_start/always"]
    assert offered(2) == ["pre_start/init", "post_start/always"]
    agent.close()


async def test_a_node_cannot_begin_hooks_of_another_one(world: Engine) -> None:
    replica = await world.start_replica()
    owner = world.attach(replica, NODE_1)
    service_id = await world.service(hooks=(oneshot("init"),))
    await world.finished(service_id, await world.deploy(service_id))
    world.node(NODE_2, 2)
    other = HookAgent(replica.channel, NODE_2)
    world._tasks.append(asyncio.create_task(other.run()))
    (mine,) = await world.instances(service_id)
    assert await other.begin(mine.id, "pre_start/init") == []
    other.close()
    assert owner.failure is None
