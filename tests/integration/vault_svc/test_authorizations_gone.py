"""Authorizations and accounts that the authority does not keep: given up, expired, forgotten."""

from pathlib import Path
from typing import Any

import pytest

from services.vault_svc.ca.account_key import AccountKey
from services.vault_svc.ca.authority import Authority, Directory
from services.vault_svc.domain.plaintext import Plaintext
from tests.integration.vault_svc.acme_fixtures import Acme, Serve, server
from tests.integration.vault_svc.conftest import MakeSettings
from tests.integration.vault_svc.stand_ins import Neighbours
from tests.support.pebble import Ports, pebble

EXPIRED = {"error": {"authorization": "Domain authorization expired for domain gone.test"}}
NOT_REGISTERED = {"error": {"acme_client": "Registration probably missing for LE"}}


async def _give_up(acme: Acme, sql: Any) -> None:
    """What somebody else with the key of the account can do."""
    authority = Authority(Directory(acme.ca.directory, str(acme.ca.ca_file)))
    account = await sql.fetchval("select url from vault.acme_accounts")
    url = await sql.fetchval("select url from vault.authorizations where domain = 'gone.test'")
    conversation = await authority.connect(AccountKey(Plaintext(await acme.secret("LE_PRIVATE_KEY"))))
    await conversation(lambda session: session.use_account(account))
    await conversation(lambda session: session.deactivate(url))
    authority.close()


@pytest.mark.parametrize("validated", [False, True], ids=["pending", "validated"])
async def test_an_authorization_that_was_given_up_needs_a_new_one(serve: Serve, sql: Any, validated: bool) -> None:
    async with serve() as acme:
        await acme.register()
        await acme.authorized("gone.test")
        if validated:
            assert (await acme.create("gone.test")).status == 201
        await _give_up(acme, sql)
        refused = await acme.create("gone.test")
        assert (refused.status, refused.body) == (422, EXPIRED)
        await acme.authorized("gone.test")
        assert (await acme.create("gone.test")).status == 201


async def test_what_the_authority_answers_with_a_bare_404_is_forgotten(serve: Serve, sql: Any) -> None:
    async with serve() as acme:
        await acme.register()
        await acme.authorized("lost.test")
        nowhere = acme.ca.directory.replace("/dir", "/no-such-thing")
        await sql.execute("update vault.authorizations set order_url = $1", nowhere)
        assert (await acme.create("lost.test")).status == 201
        await sql.execute("update vault.authorizations set url = $1", nowhere)
        refused = await acme.create("lost.test")
        text = "Domain authorization expired for domain lost.test"
        assert (refused.status, refused.body) == (422, {"error": {"authorization": text}})


async def test_an_authorization_past_its_end_is_shown_as_expired(serve: Serve, sql: Any) -> None:
    async with serve() as acme:
        await acme.register()
        await acme.authorized("gone.test")
        await sql.execute("update vault.authorizations set expires_at = now() - interval '1 second'")
        assert (await acme.d3("gone.test")).body["status"] == "expired"
        await acme.authorized("gone.test")
        assert (await acme.d3("gone.test")).body["status"] == "created"


async def test_an_authority_that_forgot_the_account_gets_it_again(
    vault_settings: MakeSettings, vault_neighbours: Neighbours, tmp_path: Path
) -> None:
    ports = Ports.free()
    async with pebble(tmp_path, ports=ports) as ca, server(vault_settings, ca, vault_neighbours)() as acme:
        await acme.register()
        await acme.authorized("gone.test")
    # State of this server is lost when it ends.
    async with pebble(tmp_path, ports=ports) as ca, server(vault_settings, ca, vault_neighbours)() as acme:
        # The word on which clients register.
        missing = await acme.d2("gone.test", "dns-01")
        assert (missing.status, list(missing.body["error"])) == (422, ["le_registration"])
        for answer in (await acme.authorize("gone.test"), await acme.create("gone.test")):
            assert answer.status == 422, answer
        assert (await acme.authorize("gone.test")).body == NOT_REGISTERED
        assert (await acme.register()).status == 201
        await acme.authorized("gone.test")
        assert (await acme.create("gone.test")).status == 201


async def test_a_file_to_trust_that_is_missing_is_no_failure_of_the_request(serve: Serve) -> None:
    async with serve(acme_ca_file="/nowhere/ca.pem") as acme:
        refused = await acme.register()
        assert (refused.status, refused.body["error"].partition(": ")[0]) == (503, "ACME server not reachable")
