"""The certificate requests of the first version, against a real ACME server that refuses some nonces."""

import asyncio
import ssl
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from cryptography import x509

from services.vault_svc.app import build
from tests.integration.vault_svc.acme_fixtures import Acme, Serve, server
from tests.integration.vault_svc.conftest import MakeSettings
from tests.integration.vault_svc.stand_ins import Neighbours
from tests.support.eventually import eventually
from tests.support.pebble import Pebble, pebble
from tests.support.running import running


def _leaf(pem: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pem.encode())


def _names(leaf: x509.Certificate) -> list[str]:
    found = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return found.get_values_for_type(x509.DNSName)


async def test_the_documented_requests_with_a_restart_in_between(serve: Serve, tmp_path: Path) -> None:
    async with serve() as acme:
        registered = await acme.register()
        assert (registered.status, registered.body) == (201, {})
        record = await acme.authorize("foo.domain.com")
        assert record.status == 201
        content = record.body.pop("record_content")
        assert record.body == {
            "record_name": "_acme-challenge",
            "record_type": "TXT",
            "record_fqdn": "_acme-challenge.foo.domain.com",
        }
        assert len(content) == 43
        early = await acme.to_secrets("FOO_DOMAIN_COM", "foo.domain.com", cert_type="fullchain")
        text = "Expected DNS record not present for domain foo.domain.com"
        assert (early.status, early.body) == (422, {"error": {"dns_record": text}})
        await acme.ca.set_txt("_acme-challenge.foo.domain.com", content)
    async with serve() as acme:
        made = await acme.to_secrets("FOO_DOMAIN_COM", "foo.domain.com", cert_type="fullchain")
        names = ["FOO_DOMAIN_COM_PRIVATE_KEY", "FOO_DOMAIN_COM_CERTIFICATE", "FOO_DOMAIN_COM_BUNDLE"]
        assert (made.status, made.body) == (201, names)
        key, certificate, bundle = [await acme.secret(name) for name in names]
        assert bundle == certificate + key
        assert certificate.count("BEGIN CERTIFICATE") == 2
        assert key.startswith("-----BEGIN RSA PRIVATE KEY-----\n")
        assert key.endswith("-----END RSA PRIVATE KEY-----\n")
        (tmp_path / "bundle.pem").write_text(bundle)
        ssl.create_default_context().load_cert_chain(str(tmp_path / "bundle.pem"))
        assert _names(_leaf(certificate)) == ["foo.domain.com"]
        # Not in the later list, and asking again makes another one.
        listed = await acme.call("CertificateService.ListCertificates", grid="alpha")
        assert listed.body == {"certificates": []}
        assert (await acme.to_secrets("FOO_DOMAIN_COM", "foo.domain.com")).status == 201
        assert await acme.secret("FOO_DOMAIN_COM_PRIVATE_KEY") != key


@pytest.mark.parametrize("cert_type", ["cert", "chain"])
async def test_parts_of_the_chain(serve: Serve, cert_type: str) -> None:
    async with serve() as acme:
        await acme.register()
        await acme.authorized("x.test")
        assert (await acme.to_secrets("X", "x.test", cert_type=cert_type)).status == 201
        found = _leaf(await acme.secret("X_CERTIFICATE"))
        names = _names(found) if cert_type == "cert" else []
        assert names == (["x.test"] if cert_type == "cert" else [])
        assert (await acme.secret("X_CERTIFICATE")).count("BEGIN CERTIFICATE") == 1


async def test_several_names_and_a_wildcard(serve: Serve) -> None:
    async with serve() as acme:
        await acme.register()
        await acme.authorized("b.test", "www.b.test", "*.c.test")
        made = await acme.to_secrets("B", "b.test", "www.b.test", "*.c.test", "B.test")
        assert made.status == 201, made
        leaf = _leaf(await acme.secret("B_CERTIFICATE"))
        assert sorted(_names(leaf)) == ["*.c.test", "b.test", "www.b.test"]


async def test_a_server_that_reuses_no_authorization_asks_for_new_records(
    vault_settings: MakeSettings, vault_neighbours: Neighbours, pebble_ca: Pebble, tmp_path: Path
) -> None:
    async with pebble(tmp_path / "ca", PEBBLE_AUTHZREUSE="0", PEBBLE_WFE_NONCEREJECT="30") as ca:
        async with server(vault_settings, ca, vault_neighbours)() as acme:
            await acme.register()
            for pair in (("a.test", "b.test"), ("c.test", "d.test"), ("e.test", "f.test")):
                await acme.authorized(*pair)
                asked = await acme.to_secrets("X", *pair)
                parts = asked.body["error"]["dns_record"].split("; ") if asked.status == 422 else []
                # Whatever it is told, pebble reuses one authorization in a hundred.
                if len(parts) == 2:
                    break
            assert [part.split(":")[0] for part in parts] == [
                f"New DNS record required for domain {domain}" for domain in pair
            ]
            for part in parts:
                name, _, content = part.partition(": ")[2].partition(" TXT ")
                await acme.ca.set_txt(name, content)
        async with server(vault_settings, ca, vault_neighbours)() as acme:
            assert (await acme.to_secrets("X", *pair)).status == 201


async def test_without_an_account_or_an_authorization(serve: Serve) -> None:
    async with serve() as acme:
        text = "Registration probably missing for LE"
        for answer in (await acme.authorize("x.test"),):
            assert (answer.status, answer.body) == (422, {"error": {"acme_client": text}})
        missing = await acme.to_secrets("X", "x.test", "y.test")
        assert missing.status == 422
        assert missing.body["error"]["authorization"].startswith("Domain authorization not found for domain x.test")
        await acme.call("SecretService.CreateSecret", grid="alpha", name="LE_PRIVATE_KEY", value="no key")
        unusable = await acme.register()
        assert (unusable.status, list(unusable.body["error"])) == (422, ["acme"])


@pytest.mark.parametrize(
    ("body", "attribute"),
    [
        ({"secret_name": "-x", "domains": ["x.test"]}, "secret_name"),
        ({"secret_name": "x" * 250, "domains": ["x.test"]}, "secret_name"),
        ({"domains": ["x.test"]}, "secret_name"),
        ({"secret_name": "X", "domains": []}, "domains"),
        ({"secret_name": "X", "domains": ["x" * 70 + ".test"]}, "domains"),
        ({"secret_name": "X", "domains": ["a_b.test"]}, "domains"),
        ({"secret_name": "X", "domains": ["127.0.0.1"]}, "domains"),
        ({"secret_name": "X", "domains": [f"{n}.test" for n in range(101)]}, "domains"),
        ({"secret_name": "X", "domains": ["x.test"], "cert_type": "pem"}, "cert_type"),
    ],
)
async def test_bad_requests_never_reach_the_authority(vault_api: Any, body: dict[str, Any], attribute: str) -> None:
    refused = await vault_api.call("CertificateService.CreateSecretCertificate", grid="alpha", **body)
    assert (refused.status, list(refused.body["error"])) == (422, [attribute])


async def test_registering_is_idempotent_and_readable_when_refused(serve: Serve) -> None:
    async with serve() as acme:
        assert [(await acme.register()).status for _ in range(2)] == [201, 201]
        key = await acme.secret("LE_PRIVATE_KEY")
        for email, text in (("a b@c", "Email isn't in the right format"), ("", "Email can't be blank")):
            refused = await acme.call("CertificateService.RegisterAcmeAccount", grid="alpha", email=email)
            assert refused.body == {"error": {"email": text}}
        assert await acme.secret("LE_PRIVATE_KEY") == key


async def test_grids_have_accounts_of_their_own(serve: Serve, vault_url: str) -> None:
    async with serve() as acme:
        await acme.register()
        await acme.register("beta")
        connection = await asyncpg.connect(vault_url)
        accounts = await connection.fetch("select distinct url, thumbprint from vault.acme_accounts")
        await connection.close()
        assert len(accounts) == 2


async def test_a_failing_challenge_is_told_and_kept(serve: Serve, sql: Any) -> None:
    async with serve() as acme:
        await acme.register()
        await acme.authorized("failing.test")
        await _wrong_at_the_authority_only(acme, sql, "failing.test")
        failed = await acme.to_secrets("X", "failing.test")
        assert failed.status == 422, failed
        assert failed.body["error"]["challenge"].startswith("failing.test: ")
        shown = (await acme.d3("failing.test")).body
        assert shown["status"] == "error"
        assert shown["problem"] in failed.body["error"]["challenge"]
        # Only a new authorization helps.
        assert (await acme.to_secrets("X", "failing.test")).status == 422
        await acme.authorized("failing.test")
        assert (await acme.to_secrets("X", "failing.test")).status == 201


async def _wrong_at_the_authority_only(acme: Acme, sql: Any, domain: str) -> None:
    """The record the vault looks for is there, but the authority will look for another one."""
    await sql.execute(
        "update vault.authorizations set challenge = jsonb_set(challenge, '{content}', '\"decoy\"') where domain = $1",
        domain,
    )
    await acme.ca.clear_txt(f"_acme-challenge.{domain}")
    await acme.ca.set_txt(f"_acme-challenge.{domain}", "decoy")


async def test_an_unreachable_authority_is_503_and_nothing_is_lost(
    serve: Serve, vault_settings: MakeSettings, pebble_ca: Pebble
) -> None:
    async with serve() as acme:
        await acme.register()
        await acme.authorized("unreachable.test")
    gone = pebble_ca.settings() | {"acme_ca_file": "", "acme_endpoint": "https://127.0.0.1:1/dir"}
    for settings in (gone, {**gone, "acme_endpoint": pebble_ca.directory}):
        async with running(partial(build, vault_settings(**settings))) as served:
            acme = Acme(served.channel, "member")
            for answer in (
                await acme.register(),
                await acme.authorize("y.test"),
                await acme.to_secrets("X", "unreachable.test"),
            ):
                assert answer.status == 503, answer
                assert answer.body["error"].startswith("ACME server not reachable: 127.0.0.1:")
    async with serve() as acme:
        assert (await acme.to_secrets("X", "unreachable.test")).status == 201


async def test_a_replaced_key_makes_authorizations_worthless_but_not_the_grid(serve: Serve) -> None:
    async with serve() as acme:
        await acme.register()
        await acme.authorized("key.test")
        await acme.call("SecretService.DeleteSecret", id="alpha/LE_PRIVATE_KEY")
        assert (await acme.authorize("key.test")).status == 422
        await acme.register()
        stale = await acme.to_secrets("X", "key.test")
        text = "Domain authorization expired for domain key.test"
        assert (stale.status, stale.body) == (422, {"error": {"authorization": text}})
        await acme.authorized("key.test")
        assert (await acme.to_secrets("X", "key.test")).status == 201


async def test_external_account_binding(
    vault_settings: MakeSettings, vault_neighbours: Neighbours, pebble_ca: Pebble, tmp_path: Path
) -> None:
    mac = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"
    async with pebble(tmp_path / "ca", EAB=mac) as ca:
        serve = server(vault_settings, ca, vault_neighbours)
        async with serve() as acme:
            refused = await acme.register()
            assert (refused.status, list(refused.body["error"])) == (422, ["acme"])
        async with serve(acme_eab_kid="kid-1", acme_eab_hmac_key=mac) as acme:
            assert (await acme.register()).status == 201


async def test_what_is_written_is_audited_and_told_to_its_users(serve: Serve, vault_neighbours: Neighbours) -> None:
    vault_neighbours.deploy.users = {name: ["alpha/null/web"] for name in ("X_PRIVATE_KEY", "X_BUNDLE")}
    async with serve() as acme:
        await acme.register()
        await acme.authorized("told.test")
        assert (await acme.to_secrets("X", "told.test")).status == 201

        async def told() -> bool:
            seen = vault_neighbours.audit.seen()
            wanted = [("register", "john.doe@domain.com"), ("authorize", "told.test"), ("create", "told.test")]
            return set(vault_neighbours.deploy.changed.values()) >= {"X_PRIVATE_KEY", "X_BUNDLE"} and all(
                event in seen for event in wanted
            )

        await eventually(told)
        assert "PRIVATE KEY-" not in str(vault_neighbours.audit.events)


async def test_requests_of_a_grid_wait_for_one_another(serve: Serve) -> None:
    async with serve() as one, serve() as other:
        await one.register()
        answers = await asyncio.gather(*(acme.authorize(f"{n}.test") for n, acme in enumerate((one, other, one))))
        assert [answer.status for answer in answers] == [201] * 3
