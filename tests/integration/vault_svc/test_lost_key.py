"""After the loss of its key a vault begins anew, and an export brings back what was in it."""

from functools import partial
from pathlib import Path
from typing import Any

from services.vault_svc import commands
from services.vault_svc.app import build, rotate
from tests.integration.vault_svc.certificates import make
from tests.integration.vault_svc.conftest import KEY, MakeSettings
from tests.integration.vault_svc.json_caller import JsonCaller
from tests.integration.vault_svc.stand_ins import Neighbours
from tests.support.eventually import eventually
from tests.support.running import running

NEW = "the key of the vault that begins anew"
PASSPHRASE = "a long enough passphrase"


USES_OF_VALUES: list[tuple[str, dict[str, Any]]] = [
    ("SecretService.GetSecret", {"id": "alpha/PEM"}),
    ("CertificateService.ExportCertificate", {"id": "alpha/x.test"}),
    ("CertificateService.RegisterAcmeAccount", {"grid": "alpha", "email": "a@x.test"}),
]


async def _fill(api: JsonCaller) -> dict[str, Any]:
    """One of each kind; returns how each is read."""
    made = make("x.test")
    await api.call("SecretService.CreateSecret", grid="alpha", name="PEM", value="the value")
    await api.call("SecretService.CreateSecret", grid="alpha", name="LE_PRIVATE_KEY", value="no key")
    registry = {"url": "https://r.io", "username": "u", "password": "the password"}
    await api.call("ExternalRegistryService.CreateExternalRegistry", grid="alpha", **registry)
    body = {"certificate": made.certificate, "private_key": made.key, "chain": made.chain}
    await api.call("CertificateService.ImportCertificate", id="alpha/x.test", **body)
    return await _read(api)


async def _read(api: JsonCaller) -> dict[str, Any]:
    secret = await api.call("SecretService.GetSecret", id="alpha/PEM")
    certificate = await api.call("CertificateService.ExportCertificate", id="alpha/x.test")
    return {"secret": secret.body.get("value"), "key": certificate.body.get("private_key")}


async def test_an_export_comes_back_after_the_loss_of_the_key(
    vault_api: JsonCaller, vault_settings: MakeSettings, vault_neighbours: Neighbours, sql: Any, tmp_path: Path
) -> None:
    before, file = await _fill(vault_api), tmp_path / "alpha.vault"
    await commands.export(vault_settings(), "alpha", file, PASSPHRASE)
    settings = vault_settings(vault_key=NEW)
    async with running(partial(build, settings), refuses=True):
        pass
    rows = await sql.fetch("select name, sealed from vault.secrets")
    await commands.start_anew(settings)
    assert await sql.fetch("select name, sealed from vault.secrets") == rows

    async with running(partial(build, settings)) as served:
        api = JsonCaller(served.channel, "member")
        for rpc, body in USES_OF_VALUES:
            refused = await api.call(rpc, **body)
            assert refused.status == 503, rpc
            assert "was written with another key than this service has: write it anew" in refused.body["error"], rpc
        # What is written from now on has the new key.
        assert (await api.call("SecretService.CreateSecret", grid="alpha", name="NEW", value="v")).status == 201
        # Whoever finds the old key again needs nothing else.
        async with running(partial(build, vault_settings(vault_key=NEW, vault_old_keys=KEY))) as found:
            assert await _read(JsonCaller(found.channel, "member")) == before
        assert await commands.refusal(commands.import_(settings, "alpha", file, PASSPHRASE)) == ""
        assert await _read(api) == before
    assert await rotate(settings) == 0

    async def told() -> bool:
        return "start anew" in {event for event, _ in vault_neighbours.audit.seen()}

    await eventually(told)


async def test_a_vault_that_opens_does_not_begin_anew(
    vault_api: JsonCaller, vault_settings: MakeSettings, sql: Any
) -> None:
    await _fill(vault_api)
    async with running(partial(build, vault_settings())):
        pass
    before = await sql.fetch("select * from vault.canary")
    refusals = {
        "opens this vault, nothing is lost": vault_settings(),
        "to change it use rotate-keys": vault_settings(vault_key=NEW, vault_old_keys=KEY),
        "VAULT_KEY: is not set": vault_settings(vault_key=""),
    }
    for text, settings in refusals.items():
        assert text in await commands.refusal(commands.start_anew(settings))
    assert await sql.fetch("select * from vault.canary") == before
    assert len(before) == 1
