"""What vault_svc asks of deploy_svc."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Any

import grpc
import pytest
import sqlalchemy as sa

from kontena.deploy.v1 import secret_usage_pb2 as pb
from kontena.deploy.v1 import secret_usage_pb2_grpc
from services.clients.secret_usage import LinkedService, SecretUsage, UsingService
from services.clients.vault_users import VaultUsers
from services.deploy_svc.domain.service_spec import CertificateRef, Port, SecretRef, ServiceSpec
from services.deploy_svc.store import services as store
from services.deploy_svc.store import tables
from services.kernel.client import ServiceChannel
from services.kernel.cluster_token import ClusterTokens
from services.kernel.db import Database
from services.kernel.ids import new_id
from services.kernel.loops import Supervisor
from services.kernel.outbox import Message
from tests.integration.deploy_svc.stand_ins import GRID, OTHER_GRID
from tests.support.eventually import eventually
from tests.support.running import CLUSTER_SECRET, Running

_d = tables.service_deploys


@pytest.fixture
async def usage(deploy: Running) -> Any:
    channel = ServiceChannel(deploy.address, ClusterTokens(CLUSTER_SECRET), "vault_svc")
    yield SecretUsage(channel)
    await channel.close()


async def _service(
    db: Database, name: str, *used: str, stack: str = "null", grid: str = GRID, state: Any = "running", **spec: Any
) -> str:
    secrets = tuple(SecretRef(one, one.lower()) for one in used)
    wanted = ServiceSpec(image="busybox:1", stateful=False, secrets=secrets, **spec)
    async with db.transaction() as tx:
        service = await store.insert(tx, grid_id=grid, grid="g1", stack=stack, name=name, spec=wanted)
        assert service is not None
        await store.set_state(tx, service.id, state)
    return service.id


async def test_what_of_a_user_reaches_the_node_is_told(usage: SecretUsage, deploy_db: Database) -> None:
    await _service(deploy_db, "web", "A", "B")
    await _service(deploy_db, "monitor", "A", privileged=True, net="host")
    found = await usage.of_secrets(GRID, ["A", "B", "C"])
    assert {name: [(one.id, one.host_level) for one in users] for name, users in found.items()} == {
        "A": [("g1/null/monitor", "privileged (true), net (host)"), ("g1/null/web", "")],
        "B": [("g1/null/web", "")],
    }


async def _revisions(db: Database) -> dict[str, int]:
    async with db.read() as tx:
        rows = await tx.execute(sa.select(tables.services.c.name, tables.services.c.revision))
        return {row.name: row.revision for row in rows}


async def _deploys(db: Database, service_id: str) -> int:
    async with db.read() as tx:
        query = sa.select(sa.func.count()).select_from(_d).where(_d.c.service_id == service_id)
        return int((await tx.execute(query)).scalar_one())


async def _waiting(db: Database, service_id: str) -> None:
    """A deploy that will not start during the test."""
    later = sa.func.now() + sa.text("interval '1 hour'")
    async with db.transaction() as tx:
        await tx.execute(_d.insert().values(id=new_id(), service_id=service_id, due_at=later))


def _message(name: str) -> Message:
    return Message(new_id(), "secret_changed", {"grid_id": GRID, "name": name})


@pytest.fixture
async def users(deploy: Running) -> AsyncIterator[VaultUsers]:
    channel = ServiceChannel(deploy.address, ClusterTokens(CLUSTER_SECRET), "vault_svc")
    found = VaultUsers(channel)
    supervisor = Supervisor()
    supervisor.add("users", found.informer.run)
    async with supervisor:
        yield found
    await channel.close()


async def test_users_of_secrets_are_followed(users: VaultUsers, deploy_db: Database) -> None:
    await _service(deploy_db, "web", "A", "B", "A")
    stopped = await _service(deploy_db, "db", "B", stack="shop", state="stopped")
    await _service(deploy_db, "plain")
    await _service(deploy_db, "far", "A", grid=OTHER_GRID)
    web, db = UsingService("g1/null/web", "web"), UsingService("g1/shop/db", "db")

    async def until(wanted: dict[str, tuple[UsingService, ...]]) -> None:
        async def known() -> bool:
            return users.of_secrets(GRID, ["A", "B", "C", "A%", "\0"]) == wanted

        await eventually(known, message=str(wanted))

    await until({"A": (web,), "B": (web, db)})
    async with deploy_db.transaction() as tx:
        spec = ServiceSpec(image="busybox:1", stateful=False, secrets=(SecretRef("C", "c"), SecretRef("A", "a")))
        row = tables.services.update().where(tables.services.c.id == stopped)
        await tx.execute(row.values(spec=asdict(spec)))
    await until({"A": (web, db), "B": (web,), "C": (db,)})
    async with deploy_db.transaction() as tx:
        await tx.execute(tables.services.delete().where(tables.services.c.grid_id == GRID))
    await until({})


async def test_a_changed_secret_redeploys_exactly_its_running_users(usage: SecretUsage, deploy_db: Database) -> None:
    web = await _service(deploy_db, "web", "A", "B")
    stateful = await _service(deploy_db, "stopped", "A", state="stopped")
    other = await _service(deploy_db, "other", "B")
    elsewhere = await _service(deploy_db, "elsewhere", "A", grid=OTHER_GRID)
    await usage.deliver_secrets([_message("A")])
    assert await _revisions(deploy_db) == {"web": 2, "stopped": 2, "other": 1, "elsewhere": 1}
    counts = [await _deploys(deploy_db, one) for one in (web, stateful, other, elsewhere)]
    assert counts == [1, 0, 0, 0]


async def test_told_twice_it_deploys_once(usage: SecretUsage, deploy_db: Database) -> None:
    web = await _service(deploy_db, "web", "A")
    message = _message("A")
    await asyncio.gather(*(usage.deliver_secrets([message]) for _ in range(5)))
    assert await _revisions(deploy_db) == {"web": 2}
    assert await _deploys(deploy_db, web) == 1


async def test_a_deploy_that_has_not_started_is_enough(usage: SecretUsage, deploy_db: Database) -> None:
    web = await _service(deploy_db, "web", "A")
    await _waiting(deploy_db, web)
    await usage.deliver_secrets([_message("A"), _message("A")])
    assert await _deploys(deploy_db, web) == 1
    assert (await _revisions(deploy_db))["web"] == 3


async def test_certificates_in_the_same_way(usage: SecretUsage, deploy_db: Database) -> None:
    web = await _service(deploy_db, "web", certificates=(CertificateRef("*.x.test", "SSL_CERTS"),))
    assert await usage.of_certificates(GRID, ["*.x.test", "x.test"]) == {
        "*.x.test": (UsingService("g1/null/web", "web"),)
    }
    await usage.deliver_certificates(
        [Message(new_id(), "certificate_changed", {"grid_id": GRID, "subject": "*.x.test"})]
    )
    assert await _deploys(deploy_db, web) == 1


async def test_a_linked_service_is_described_and_deployed_once_per_event(
    usage: SecretUsage, deploy_db: Database
) -> None:
    web = await _service(deploy_db, "lb", ports=(Port(80, 8080), Port(53, 53, protocol="udp")), state="initialized")
    assert await usage.linked_service(GRID, "null", "lb") == LinkedService(False, frozenset({80}))
    assert await usage.linked_service(GRID, "null", "none") is None
    assert await usage.linked_service(OTHER_GRID, "null", "lb") is None
    deploys = [await usage.deploy_linked(GRID, "null", "lb", event) for event in ("e1", "e1", "e2")]
    assert deploys[0] == deploys[1] != deploys[2]
    assert await usage.deploy_linked(GRID, "null", "none", "e1") is None
    assert await _deploys(deploy_db, web) == 2
    assert (await _revisions(deploy_db))["lb"] == 3
    states = await usage.deploy_states(GRID, [deploys[0] or "", "f" * 24, "x"])
    assert list(states) == [deploys[0]]
    assert await usage.deploy_states(OTHER_GRID, [deploys[0] or ""]) == {}


async def test_users_may_not_call_it(deploy: Running) -> None:
    stub: Any = secret_usage_pb2_grpc.SecretUsageServiceStub(deploy.channel)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.SecretChanged(pb.SecretChangedRequest(), metadata=(("authorization", "Bearer admin"),))
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
