"""What a grid may have in the vault, and what whoever wants more is told."""

from collections.abc import AsyncIterator
from functools import partial

import pytest

from services.vault_svc.app import build
from tests.integration.vault_svc.caller import Caller
from tests.integration.vault_svc.certificates import make
from tests.integration.vault_svc.conftest import MakeSettings
from tests.integration.vault_svc.json_caller import JsonCaller
from tests.support.running import Running, running


@pytest.fixture
async def small(vault_settings: MakeSettings, _clean: None) -> AsyncIterator[Running]:
    """A vault with quotas that tests can meet."""
    few = dict.fromkeys(("secrets_per_grid", "certificates_per_grid", "registries_per_grid"), 2)
    async with running(partial(build, vault_settings(**few, secret_bytes_per_grid=4096))) as served:
        yield served


def full(quota: str, most: int, what: str) -> str:
    return f"There may be {most} {what}. Remove some, or ask an operator for more: the setting is {quota.upper()}"


async def test_a_grid_has_so_many_secrets(small: Running) -> None:
    member = Caller(small.channel, "member")
    for name in ("A", "B"):
        assert (await member.create(name, "v")).status == 201
    text = full("secrets_per_grid", 2, "secrets in a grid")
    for refused in (await member.create("C", "v"), await member.update("alpha/C", "v", upsert=True)):
        assert (refused.status, refused.body) == (422, {"error": {"name": text}})
    assert (await member.update("alpha/A", "other")).status == 200
    assert (await member.delete("alpha/A")).status == 200
    assert (await member.create("C", "v")).status == 201


async def test_values_of_a_grid_take_so_much(small: Running) -> None:
    member = Caller(small.channel, "member")
    assert (await member.create("A", "x" * 3000)).status == 201
    text = full("secret_bytes_per_grid", 4096, "bytes of encrypted values in the secrets of a grid")
    refused = await member.create("B", "x" * 2000)
    assert (refused.status, refused.body) == (422, {"error": {"name": text}})
    assert (await member.create("B", "x")).status == 201
    refused = await member.update("alpha/B", "x" * 2000)
    assert (refused.status, refused.body) == (422, {"error": {"value": text}})


async def test_a_grid_has_so_many_registries_and_certificates(small: Running) -> None:
    api, errors = JsonCaller(small.channel, "member"), []
    for number in range(3):
        subject = f"d{number}.test"
        made = make(subject)
        body = {"certificate": made.certificate, "private_key": made.key, "chain": made.chain}
        imported = await api.call("CertificateService.ImportCertificate", id=f"alpha/{subject}", **body)
        registry = {"url": f"https://r{number}.io", "username": "u", "password": "the password"}
        created = await api.call("ExternalRegistryService.CreateExternalRegistry", grid="alpha", **registry)
        if number < 2:
            assert (imported.status, created.status) == (201, 201)
        else:
            assert (imported.status, created.status) == (422, 422)
            errors = [imported.body, created.body]
    assert errors == [
        {"error": {"subject": full("certificates_per_grid", 2, "certificates in a grid")}},
        {"error": {"name": full("registries_per_grid", 2, "external registries in a grid")}},
    ]
