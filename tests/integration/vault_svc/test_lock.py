"""Without a key, or with one that is not the key of this installation."""

from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any

import pytest

from services.vault_svc.app import build
from tests.integration.vault_svc.caller import Answer, Caller, resolve
from tests.integration.vault_svc.conftest import KEY, MakeSettings
from tests.integration.vault_svc.json_caller import JsonCaller
from tests.integration.vault_svc.stand_ins import ALPHA
from tests.support.running import Running, running

CLOSED = {"error": "Vault not configured"}


@pytest.fixture(params=["no key", "wrong key"])
async def closed_vault(
    request: pytest.FixtureRequest, vault_settings: MakeSettings, _clean: None
) -> AsyncIterator[Running]:
    async with running(partial(build, vault_settings())):
        pass  # The first start decides which key is the right one.
    key = "" if request.param == "no key" else "another key than the first"
    async with running(partial(build, vault_settings(vault_key=key)), refuses=True) as served:
        yield served


ON_GRIDS: list[Callable[[Caller, str], Awaitable[Answer]]] = [
    lambda caller, grid: caller.of_grid(grid),
    lambda caller, grid: caller.create("N", "v", grid),
    lambda caller, grid: caller.put_in_grid("N", "v", upsert=True, grid=grid),
]
ON_SECRETS: list[Callable[[Caller, str], Awaitable[Answer]]] = [
    lambda caller, grid: caller.read(f"{grid}/N"),
    lambda caller, grid: caller.update(f"{grid}/N", "v", upsert=True),
    lambda caller, grid: caller.delete(f"{grid}/N"),
]


async def test_every_request_answers_503_after_authentication(closed_vault: Running) -> None:
    for call in (*ON_GRIDS, *ON_SECRETS):
        found = await call(Caller(closed_vault.channel, "member"), "alpha")
        assert (found.status, found.body) == (503, CLOSED)
        assert (await call(Caller(closed_vault.channel, "unknown"), "alpha")).status == 401
    assert (await resolve(closed_vault.channel, ALPHA, "N")).body == CLOSED


# Everything else that reads or writes what is encrypted.
OTHERS: list[tuple[str, dict[str, Any]]] = [
    ("ExternalRegistryService.CreateExternalRegistry", {"grid": "alpha"}),
    ("CertificateService.RegisterAcmeAccount", {"grid": "alpha"}),
    ("CertificateService.AuthorizeDomain", {"grid": "alpha"}),
    ("CertificateService.CreateSecretCertificate", {"grid": "alpha"}),
    ("CertificateService.CreateCertificate", {"grid": "alpha"}),
    ("CertificateService.ExportCertificate", {"id": "alpha/x.test"}),
    ("CertificateService.ImportCertificate", {"id": "alpha/x.test"}),
    ("DomainAuthorizationService.CreateDomainAuthorization", {"grid": "alpha"}),
    ("DomainAuthorizationService.DeleteDomainAuthorization", {"id": "alpha/x.test"}),
]


async def test_registries_and_certificates_answer_503_before_they_look_at_the_request(closed_vault: Running) -> None:
    api = JsonCaller(closed_vault.channel, "member")
    for rpc, body in OTHERS:
        found = await api.call(rpc, **body)
        assert (found.status, found.body) == (503, CLOSED), rpc
    # Lists never decrypt.
    assert (await api.call("CertificateService.ListCertificates", grid="alpha")).status == 200


async def test_grid_routes_check_the_grid_first(closed_vault: Running) -> None:
    for call in ON_GRIDS:
        assert (await call(Caller(closed_vault.channel, "stranger"), "alpha")).status == 403
        assert (await call(Caller(closed_vault.channel, "member"), "none")).status == 404
    for call in ON_SECRETS:
        assert (await call(Caller(closed_vault.channel, "stranger"), "alpha")).status == 503


async def test_the_right_key_opens_what_the_wrong_one_could_not(vault_settings: MakeSettings, vault_url: str) -> None:
    async with running(partial(build, vault_settings())) as served:
        await Caller(served.channel, "member").create("NAME", "v")
    wrong = vault_settings(vault_key="another key than the first")
    async with running(partial(build, wrong), refuses=True) as served:
        assert (await Caller(served.channel, "member").read("alpha/NAME")).status == 503
    other = vault_settings(vault_key="another key than the first", vault_old_keys=KEY)
    for settings in (vault_settings(), other):
        async with running(partial(build, settings)) as served:
            assert (await Caller(served.channel, "member").read("alpha/NAME")).body.value == "v"


async def test_loops_wait_until_the_key_is_known(vault_settings: MakeSettings, logged: Callable[[], str]) -> None:
    async with running(partial(build, vault_settings(certificate_renewal_seconds=0.01))):
        pass
    assert "loop failed" not in logged()


async def test_a_key_that_is_too_short_ends_the_start(vault_settings: MakeSettings) -> None:
    with pytest.raises(ValueError, match="VAULT_KEY") as caught:
        await build(vault_settings(vault_key="hunter2"))
    assert "hunter2" not in str(caught.value)
