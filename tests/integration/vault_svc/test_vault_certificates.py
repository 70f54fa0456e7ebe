"""The later certificate resource, domain authorizations and renewal, against a real ACME server."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from services.clients.certificates import CertificateResolver
from services.kernel.client import ServiceChannel
from services.kernel.cluster_token import ClusterTokens
from tests.integration.vault_svc.acme_fixtures import Acme, Serve, server
from tests.integration.vault_svc.certificates import Made, make
from tests.integration.vault_svc.conftest import MakeSettings
from tests.integration.vault_svc.json_caller import Answer, JsonCaller
from tests.integration.vault_svc.stand_ins import ALPHA, BETA, Neighbours
from tests.support.eventually import eventually
from tests.support.pebble import Pebble, pebble
from tests.support.running import CLUSTER_SECRET, Running


@pytest.fixture
def serve(vault_settings: MakeSettings, pebble_ca: Pebble, vault_neighbours: Neighbours) -> Serve:
    return server(vault_settings, pebble_ca, vault_neighbours)


@pytest.fixture
async def sql(vault_url: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(vault_url)
    yield connection
    await connection.close()


async def _import(api: JsonCaller, subject: str, made: Made, **changed: Any) -> Answer:
    body = {"certificate": made.certificate, "private_key": made.key, "chain": made.chain} | changed
    given = {name: value for name, value in body.items() if value is not None}
    return await api.call("CertificateService.ImportCertificate", id=f"alpha/{subject}", **given)


async def _http01(acme: Acme, *domains: str) -> None:
    for domain in domains:
        made = await acme.d2(domain, "http-01", "null/lb")
        assert made.status == 201, made
        await acme.ca.add_http01(**made.body["challenge_opts"])


async def test_http_01_through_a_linked_service(serve: Serve, vault_neighbours: Neighbours, vault: Running) -> None:
    async with serve() as acme:
        await acme.register()
        vault_neighbours.deploy.deploy_state = "ongoing"
        made = await acme.d2("a.http.test", "http-01", "null/lb")
        assert made.status == 201, made
        opts = made.body["challenge_opts"]
        assert made.body["id"] == "alpha/a.http.test"
        assert made.body["linked_service"] == {"id": "alpha/null/lb"}
        assert (made.body["status"], made.body["authorization_type"]) == ("deploying", "http-01")
        assert made.body["challenge"]["token"] == opts["token"] == opts["content"].partition(".")[0]
        assert made.body["expires_at"]
        assert vault_neighbours.deploy.deployed == ["null/lb"]
        vault_neighbours.deploy.deploy_state = "success"
        assert (await acme.d3("a.http.test")).body["status"] == "created"
        channel = ServiceChannel(vault.address, ClusterTokens(CLUSTER_SECRET), "deploy_svc")
        published = await CertificateResolver(channel).challenges(ALPHA, ["null/lb", "null/other"])
        assert {service: [(n, v.reveal()) for n, v in found] for service, found in published.items()} == {
            "null/lb": [(f"ACME_CHALLENGE_{opts['token']}", opts["content"])]
        }
        await acme.ca.add_http01(**opts)
        issued = await acme.create("a.http.test")
        assert (issued.status, issued.body["subject"], issued.body["auto_renewable"]) == (201, "a.http.test", True)
        assert (await acme.d3("a.http.test")).body["status"] == "validated"
        assert await CertificateResolver(channel).challenges(ALPHA, ["null/lb"]) == {}
        bundles = await CertificateResolver(channel).bundles(ALPHA, ["a.http.test", "none", "\0"])
        assert await CertificateResolver(channel).bundles(BETA, ["a.http.test"]) == {}
        await channel.close()
        exported = (await acme.call("CertificateService.ExportCertificate", id="alpha/a.http.test")).body
        whole = exported["certificate"] + exported["chain"] + exported["private_key"]
        assert {subject: bundle.reveal() for subject, bundle in bundles.items()} == {"a.http.test": whole}

        async def told() -> bool:
            return list(vault_neighbours.deploy.changed_certificates.values()) == ["a.http.test"]

        await eventually(told)


async def test_tls_alpn_01(serve: Serve, vault: Running) -> None:
    async with serve() as acme:
        await acme.register()
        made = await acme.d2("tls.test", "tls-sni-01", "null/lb")
        assert (made.status, made.body["authorization_type"]) == (201, "tls-alpn-01")
        assert "challenge_opts" not in made.body
        channel = ServiceChannel(vault.address, ClusterTokens(CLUSTER_SECRET), "deploy_svc")
        ((name, value),) = (await CertificateResolver(channel).challenges(ALPHA, ["null/lb"]))["null/lb"]
        await channel.close()
        assert name == "ACME_ALPN_tls_test"
        assert "BEGIN CERTIFICATE" in value.reveal()
        assert "BEGIN PRIVATE KEY" in value.reveal()
        thumbprint = (await _one(acme, "select thumbprint from vault.authorizations"))[0]
        await acme.ca.add_tlsalpn01("tls.test", f"{made.body['challenge']['token']}.{thumbprint}")
        assert (await acme.create("tls.test")).status == 201


async def _one(acme: Acme, query: str) -> Any:
    connection = await asyncpg.connect(acme.url)
    row = await connection.fetchrow(query)
    await connection.close()
    return row


async def test_dns_01_with_several_names(serve: Serve) -> None:
    async with serve() as acme:
        await acme.register()
        await acme.authorized("*.d.test", "e.test")
        made = await acme.create("*.d.test", "e.test")
        assert made.status == 201, made
        valid_until = made.body.pop("valid_until")
        assert datetime.fromisoformat(valid_until) > datetime.now(UTC)
        shown = {"id": "alpha/*.d.test", "subject": "*.d.test", "alt_names": ["e.test"], "auto_renewable": False}
        assert made.body == shown
        listed = await acme.call("CertificateService.ListCertificates", grid="alpha")
        assert listed.body == {"certificates": [{**shown, "valid_until": valid_until}]}
        assert (await acme.get("*.d.test")).status == 200
        assert (await acme.get("e.test")).body == {"error": "Not found"}


async def test_all_domains_without_an_authorization_are_told(serve: Serve) -> None:
    async with serve() as acme:
        refused = await acme.create("a.none.test", "b.none.test")
        texts = [f"Domain authorization not found for domain {one}.none.test" for one in "ab"]
        assert (refused.status, refused.body) == (422, {"error": {"authorization": "; ".join(texts)}})


@pytest.mark.parametrize(
    ("type_", "linked", "error"),
    [
        ("dns-01", "null/lb", {"linked_service": "Service link cannot be given for the dns-01 authorization type"}),
        ("http-01", None, {"linked_service": "Service link needs to be given for the http-01 authorization type"}),
        ("tls-sni-01", " ", {"linked_service": "Service link needs to be given for the tls-sni-01 authorization type"}),
        ("http-01", "null/no", {"linked_service": "Linked service not found: null/no"}),
        ("http-01", "null/tls", {"linked_service": "Linked service does not have port 80 open"}),
        ("http-02", None, {"authorization_type": "Authorization Type isn't an option"}),
        ("dns-01", None, {"le_registration": "Let's Encrypt registration missing"}),
    ],
)
async def test_refused_authorizations(
    serve: Serve, vault_neighbours: Neighbours, type_: str, linked: str | None, error: object
) -> None:
    vault_neighbours.deploy.linked["null/tls"] = [443]
    async with serve() as acme:
        refused = await acme.d2("x.test", type_, linked)
        assert (refused.status, refused.body) == (422, {"error": error})


async def test_a_failed_deploy_of_the_linked_service(serve: Serve, vault_neighbours: Neighbours) -> None:
    async with serve() as acme:
        await acme.register()
        await acme.d2("f.test", "http-01", "null/lb")
        vault_neighbours.deploy.deploy_state = "error"
        assert (await acme.d3("f.test")).body["status"] == "deploy_error"
        refused = await acme.create("f.test")
        assert refused.body == {"error": {"challenge": "f.test: the deploy of null/lb failed"}}


async def test_authorizations_are_listed_and_removed(serve: Serve) -> None:
    async with serve() as acme:
        await acme.register()
        await acme.d2("b.test", "dns-01")
        await acme.authorize("A.test")
        listed = await acme.call("DomainAuthorizationService.ListDomainAuthorizations", grid="alpha")
        found = listed.body["domain_authorizations"]
        assert [(one["domain"], one["status"]) for one in found] == [("a.test", "created"), ("b.test", "created")]
        assert set(found[0]["challenge_opts"]) == {"record_name", "record_type", "record_content"}
        remove = "DomainAuthorizationService.DeleteDomainAuthorization"
        assert [(await acme.call(remove, id="alpha/b.test")).status for _ in range(2)] == [200, 404]
        assert (await acme.d3("b.test")).body == {"error": "Not found"}


async def test_import_export_and_delete(vault_api: JsonCaller, vault_neighbours: Neighbours) -> None:
    made = make("x.test", "www.x.test")
    imported = await _import(vault_api, "x.test", made)
    assert imported.status == 201, imported
    assert imported.body["alt_names"] == ["www.x.test"]
    exported = await vault_api.call("CertificateService.ExportCertificate", id="alpha/x.test")
    assert exported.headers["cache-control"] == "no-store"
    assert exported.body == {
        "id": "alpha/x.test",
        "subject": "x.test",
        "certificate": made.certificate,
        "chain": "".join(made.chain),
        "private_key": made.key,
    }
    again = make("x.test")
    assert (await _import(vault_api, "x.test", again, chain=None)).status == 201
    assert (await vault_api.call("CertificateService.ExportCertificate", id="alpha/x.test")).body["chain"] == ""
    vault_neighbours.deploy.certificate_users = {"x.test": ["alpha/null/lb", "alpha/shop/web"]}
    used = await vault_api.call("CertificateService.DeleteCertificate", id="alpha/x.test")
    text = "Certificate still in use in services: alpha/null/lb,alpha/shop/web"
    assert (used.status, used.body) == (422, {"error": {"certificate": text}})
    vault_neighbours.deploy.certificate_users = {}
    statuses = [(await vault_api.call("CertificateService.DeleteCertificate", id="alpha/x.test")).status for _ in "ab"]
    assert statuses == [200, 404]

    async def audited() -> bool:
        events = [event for event, name in vault_neighbours.audit.seen() if name == "x.test"]
        return events == ["create", "export", "create", "export", "delete"]

    await eventually(audited)
    assert "PRIVATE KEY" not in str(vault_neighbours.audit.events)


async def test_a_wildcard_is_found_by_its_encoded_name(vault_api: JsonCaller) -> None:
    assert (await _import(vault_api, "%2A.w.test", make("*.w.test"))).body["id"] == "alpha/*.w.test"
    for subject in ("*.w.test", "%2a.w.test"):
        assert (await vault_api.call("CertificateService.GetCertificate", id=f"alpha/{subject}")).status == 200
    assert (await vault_api.call("CertificateService.DeleteCertificate", id="alpha/%2A.w.test")).status == 200


async def test_the_same_import_again_writes_nothing(vault_api: JsonCaller, vault_neighbours: Neighbours) -> None:
    made = make("x.test")
    for _ in range(3):
        assert (await _import(vault_api, "x.test", made)).status == 201
    assert (await _import(vault_api, "last.test", make("last.test"))).status == 201

    async def told() -> bool:
        return "last.test" in vault_neighbours.deploy.changed_certificates.values()

    await eventually(told)
    assert sorted(vault_neighbours.deploy.changed_certificates.values()) == ["last.test", "x.test"]


async def test_kinds_of_keys_that_can_be_imported(vault_api: JsonCaller) -> None:
    for subject, made in (
        ("ec.test", make("ec.test", kind="ec")),
        ("sec1.test", make("sec1.test", kind="sec1")),
        ("pkcs8.test", make("pkcs8.test", kind="pkcs8")),
        ("nocn.test", make("nocn.test", common_name=False)),
        ("test", make("test")),
    ):
        assert (await _import(vault_api, subject, made)).status == 201, subject


async def test_refused_imports(vault_api: JsonCaller) -> None:
    made, other = make("x.test"), make("y.test")
    nameless = make(common_name=False)
    cases: list[tuple[dict[str, Any], str, str]] = [
        ({"certificate": None}, "certificate", "Certificate is required"),
        ({"private_key": None}, "private_key", "Private Key is required"),
        ({"certificate": "no pem"}, "certificate", ""),
        ({"chain": ["no pem"]}, "chain", ""),
        ({"private_key": "no pem"}, "private_key", "Private Key is not an RSA or EC key in PEM"),
        ({"private_key": made.encrypted_key()}, "private_key", "Private Key is encrypted"),
        ({"private_key": other.key}, "private_key", "Private Key does not belong to the certificate"),
        (
            {"certificate": other.certificate, "private_key": other.key},
            "subject",
            "Certificate subject 'y.test' does not match expected subject 'x.test'",
        ),
        (
            {"certificate": nameless.certificate, "private_key": nameless.key},
            "certificate",
            "Unable to find CN from certificate subject: ",
        ),
    ]
    for changed, attribute, text in cases:
        refused = await _import(vault_api, "x.test", made, **changed)
        assert (refused.status, list(refused.body["error"])) == (422, [attribute]), changed
        assert refused.body["error"][attribute].startswith(text)
        assert "BEGIN" not in str(refused.body)


async def test_strangers_learn_nothing(vault_api: JsonCaller, vault_api_as: Any) -> None:
    await _import(vault_api, "x.test", make("x.test"))
    stranger, viewer = vault_api_as("stranger"), vault_api_as("viewer")
    for name in ("x.test", "none.test"):
        for rpc in ("GetCertificate", "ExportCertificate", "ImportCertificate", "DeleteCertificate"):
            found = await stranger.call(f"CertificateService.{rpc}", id=f"alpha/{name}")
            assert (found.status, found.body) == (403, {"error": "Access denied"})
        for rpc in ("GetDomainAuthorization", "DeleteDomainAuthorization"):
            assert (await stranger.call(f"DomainAuthorizationService.{rpc}", id=f"alpha/{name}")).status == 403
    for rpc in ("RegisterAcmeAccount", "AuthorizeDomain", "CreateSecretCertificate", "CreateCertificate"):
        for caller in (stranger, viewer):
            assert (await caller.call(f"CertificateService.{rpc}", grid="alpha")).status == 403
        assert (await vault_api.call(f"CertificateService.{rpc}", grid="none")).status == 404


async def _age(sql: Any, subject: str) -> None:
    await sql.execute(
        "update vault.certificates set valid_until = now() + interval '1 day' where subject = $1", subject
    )


async def test_a_due_certificate_is_renewed_once_by_two_replicas(
    serve: Serve, sql: Any, vault_neighbours: Neighbours
) -> None:
    async with serve() as acme:
        await acme.register()
        await _http01(acme, "r.test")
        assert (await acme.create("r.test")).status == 201
        await acme.authorized("manual.test")
        assert (await acme.create("manual.test")).status == 201
    first = await sql.fetchval("select certificate from vault.certificates where subject = 'r.test'")
    manual = await sql.fetchval("select certificate from vault.certificates where subject = 'manual.test'")
    await _age(sql, "r.test")
    await _age(sql, "manual.test")
    vault_neighbours.audit.events.clear()
    async with serve(certificate_renewal_seconds=0.2) as acme, serve(certificate_renewal_seconds=0.2):

        async def renewed() -> bool:
            row = await sql.fetchrow("select * from vault.certificates where subject = 'r.test'")
            return row["certificate"] != first and ("renew", "r.test") in vault_neighbours.audit.seen()

        await eventually(renewed, within=30)
        await _quiet(sql)
        assert "renewal_error" not in (await acme.get("r.test")).body
    assert vault_neighbours.audit.seen().count(("renew", "r.test")) == 1
    ((kind, severity, message),) = vault_neighbours.grid_events.seen()
    assert (kind, severity) == ("certificate:renew", 1)
    assert message.startswith("certificate r.test was renewed, valid until 20")
    assert await sql.fetchval("select certificate from vault.certificates where subject = 'manual.test'") == manual


async def _quiet(sql: Any) -> None:
    async def delivered() -> bool:
        return await sql.fetchval("select count(*) from vault.outbox") == 0

    await eventually(delivered)


async def test_a_failing_renewal_is_shown_and_backs_off(serve: Serve, sql: Any, vault_neighbours: Neighbours) -> None:
    async with serve() as acme:
        await acme.register()
        await _http01(acme, "ok.test", "bad.test")
        for domain in ("ok.test", "bad.test"):
            assert (await acme.create(domain)).status == 201
            await _age(sql, domain)
    ok = await sql.fetchval("select certificate from vault.certificates where subject = 'ok.test'")
    await sql.execute(
        "update vault.authorizations set linked_service = 'null/gone', state = 'error' where domain = 'bad.test'"
    )
    async with serve(certificate_renewal_seconds=0.2) as acme:

        async def told() -> Any:
            body = (await acme.get("bad.test")).body
            return body if body.get("renewal_error") else None

        shown: Any = await eventually(told, within=30)
        assert "Linked service not found: null/gone" in shown["renewal_error"]
        wait = datetime.fromisoformat(shown["next_renewal_at"]) - datetime.now(UTC)
        assert 3500 < wait.total_seconds() < 4000

        async def other_one() -> bool:
            return await sql.fetchval("select certificate from vault.certificates where subject = 'ok.test'") != ok

        await eventually(other_one, within=30)

        async def audited() -> bool:
            return ("renew_failed", "bad.test") in vault_neighbours.audit.seen()

        await eventually(audited)
        text = "certificate bad.test is not renewed: linked_service: Linked service not found: null/gone"

        async def told_people() -> bool:
            return [one for one in vault_neighbours.grid_events.seen() if one[1] == 3] == [
                ("certificate:renew", 3, text)
            ]

        await eventually(told_people)
    assert await sql.fetchval("select renewal_failures from vault.certificates where subject = 'bad.test'") == 1


async def test_a_renewal_at_a_server_that_reuses_nothing_publishes_new_challenges(
    vault_settings: MakeSettings, vault_neighbours: Neighbours, sql: Any, tmp_path: Path
) -> None:
    async with pebble(tmp_path / "ca", PEBBLE_AUTHZREUSE="0") as ca:
        serve = server(vault_settings, ca, vault_neighbours)
        async with serve() as acme:
            await acme.register()
            await _http01(acme, "n.test")
            assert (await acme.create("n.test")).status == 201
        first = await sql.fetchval("select certificate from vault.certificates")
        await _age(sql, "n.test")
        publisher = asyncio.create_task(_publish(ca))
        async with serve(certificate_renewal_seconds=0.2):

            async def renewed() -> bool:
                return await sql.fetchval("select certificate from vault.certificates") != first

            try:
                await eventually(renewed, within=40)
            finally:
                publisher.cancel()
    assert len(vault_neighbours.deploy.deployed) == 2


async def _publish(ca: Pebble) -> None:
    """What the linked service does: serve the challenge it was deployed with."""
    connection = await asyncpg.connect(_URL[0])
    try:
        while True:
            for row in await connection.fetch(
                "select challenge->>'token', challenge->>'content' from vault.authorizations"
            ):
                await ca.add_http01(row[0], row[1])
            await asyncio.sleep(0.02)
    finally:
        await connection.close()


_URL: list[str] = []


@pytest.fixture(autouse=True)
def _url(vault_url: str) -> None:
    _URL[:] = [vault_url]
    Acme.url = vault_url
