"""Key rotation under load, and moved ciphertexts, for every kind of encrypted value."""

import asyncio
from functools import partial
from typing import Any

import asyncpg

from services.clients.certificates import CertificateResolver
from services.clients.registries import RegistryResolver
from services.kernel.client import ServiceChannel
from services.kernel.cluster_token import ClusterTokens
from services.kernel.db import Database
from services.vault_svc.app import build, rotate
from services.vault_svc.domain import bindings
from services.vault_svc.domain.acme import Challenge
from services.vault_svc.domain.authorization import Authorization
from services.vault_svc.domain.envelope import seal, unseal
from services.vault_svc.domain.keys import derive, keyring
from services.vault_svc.domain.plaintext import Plaintext
from services.vault_svc.store import authorizations, orders
from tests.integration.vault_svc.certificates import make
from tests.integration.vault_svc.conftest import KEY, MakeSettings
from tests.integration.vault_svc.json_caller import JsonCaller
from tests.integration.vault_svc.stand_ins import ALPHA
from tests.support.running import CLUSTER_SECRET, Running, running

NEW = "the second key of the vault in tests"
TABLES = ("secrets", "registries", "certificates", "authorizations", "orders")
OLD_RING = keyring(KEY)


async def _fill(api: JsonCaller, url: str) -> str:
    """Values of every kind; returns the bundle of the certificate."""
    assert OLD_RING is not None
    made = make("x.test")
    await api.call("SecretService.CreateSecret", grid="alpha", name="A", value="v")
    for number in range(60):
        registry = {"url": f"https://r{number}.io", "username": "u", "password": f"p{number}"}
        await api.call("ExternalRegistryService.CreateExternalRegistry", grid="alpha", **registry)
    body = {"certificate": made.certificate, "private_key": made.key, "chain": made.chain}
    await api.call("CertificateService.ImportCertificate", id="alpha/x.test", **body)
    challenge = Challenge("tls-alpn-01", "token", "url", "pending", "content")
    sealed = seal(OLD_RING, bindings.authorization(ALPHA, "x.test", "1" * 24), Plaintext("tls key"))
    made_one = Authorization(
        id="1" * 24,
        grid_id=ALPHA,
        domain="x.test",
        type="tls-alpn-01",
        state="created",
        directory="d",
        url="u",
        order_url="o",
        challenge=challenge,
        thumbprint="t",
        linked_service="null/lb",
        sealed=sealed,
    )
    key = seal(OLD_RING, bindings.order(ALPHA, "x.test", "2" * 24), Plaintext("order key"))
    db = Database(url, pool_size=1)
    async with db.transaction() as tx:
        await authorizations.save(tx, made_one)
        await orders.save(tx, orders.StoredOrder("2" * 24, ALPHA, "x.test", "d", "u", "t", key))
    await db.close()
    return made.certificate + "".join(made.chain) + made.key


async def test_no_read_of_any_kind_fails_while_keys_rotate(vault_settings: MakeSettings, vault_url: str) -> None:
    ahead, behind = vault_settings(vault_key=NEW, vault_old_keys=KEY), vault_settings(vault_old_keys=NEW)
    async with running(partial(build, behind)) as old, running(partial(build, ahead)) as new:
        bundle = await _fill(JsonCaller(old.channel, "member"), vault_url)
        done = asyncio.Event()

        async def read(served: Running) -> None:
            channel = ServiceChannel(served.address, ClusterTokens(CLUSTER_SECRET), "deploy_svc")
            registries, certificates = RegistryResolver(channel), CertificateResolver(channel)
            reads = 0
            while not done.is_set() or reads < 20:
                number = reads * 7 % 60
                found = await registries.resolve(ALPHA, [f"r{number}.io"])
                assert found[f"r{number}.io"].password == f"p{number}"
                assert (await certificates.bundles(ALPHA, ["x.test"]))["x.test"].reveal() == bundle
                published = await certificates.challenges(ALPHA, ["null/lb"])
                assert published["null/lb"][0][1].reveal() == "tls key"
                reads += 1
            await channel.close()

        async def turn() -> None:
            try:
                assert await rotate(ahead) == 0
            finally:
                done.set()

        await asyncio.gather(turn(), read(old), read(new))
    connection = await asyncpg.connect(vault_url)
    for table in TABLES:
        rows = await connection.fetch(f"select distinct key_id from vault.{table}")  # noqa: S608
        assert [row[0] for row in rows] == [derive(NEW).id], table
    await connection.close()
    ring = keyring(NEW)
    assert ring is not None
    db = Database(vault_url, pool_size=1)
    async with db.read() as tx:
        order: Any = await orders.find(tx, ALPHA, "x.test")
    await db.close()
    assert unseal(ring, order.binding(), order.sealed) == Plaintext("order key")


async def test_no_moved_ciphertext_of_any_kind_opens(vault_settings: MakeSettings, vault_url: str) -> None:
    async with running(partial(build, vault_settings())) as vault:
        vault_api = JsonCaller(vault.channel, "member")
        await _fill(vault_api, vault_url)
        connection = await asyncpg.connect(vault_url)
        # Everybody gets the ciphertext of somebody else: of another row, or of another kind.
        await connection.execute(
            "update vault.registries set sealed = (select sealed from vault.registries where name = 'r1.io')"
            " where name = 'r2.io'"
        )
        await connection.execute("update vault.registries set name = 'moved.io' where name = 'r3.io'")
        await connection.execute("update vault.certificates set sealed = (select sealed from vault.orders)")
        await connection.execute("update vault.authorizations set sealed = (select sealed from vault.secrets)")
        await connection.close()
        channel = ServiceChannel(vault.address, ClusterTokens(CLUSTER_SECRET), "deploy_svc")
        registries, certificates = RegistryResolver(channel), CertificateResolver(channel)
        # Each is missing by itself; the others go on.
        assert await registries.resolve(ALPHA, ["r2.io", "moved.io"]) == {}
        assert not (await certificates.bundles(ALPHA, ["x.test"]))["x.test"].readable
        assert await certificates.challenges(ALPHA, ["null/lb"]) == {}
        assert (await registries.resolve(ALPHA, ["r1.io"]))["r1.io"].password == "p1"
        await channel.close()
        assert (await vault_api.call("CertificateService.ExportCertificate", id="alpha/x.test")).status == 503
        assert (
            len((await vault_api.call("CertificateService.ListCertificates", grid="alpha")).body["certificates"]) == 1
        )
