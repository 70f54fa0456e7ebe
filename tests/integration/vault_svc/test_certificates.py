"""Certificates and domain authorizations of the later resource, against a real ACME server."""

from datetime import UTC, datetime
from typing import Any

import pytest

from services.clients.certificates import CertificateResolver
from services.kernel.client import ServiceChannel
from services.kernel.cluster_token import ClusterTokens
from tests.integration.vault_svc.acme_fixtures import Serve
from tests.integration.vault_svc.stand_ins import ALPHA, BETA, Neighbours
from tests.support.eventually import eventually
from tests.support.running import CLUSTER_SECRET, Running


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


async def test_tls_alpn_01(serve: Serve, vault: Running, sql: Any) -> None:
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
        thumbprint = await sql.fetchval("select thumbprint from vault.authorizations")
        await acme.ca.add_tlsalpn01("tls.test", f"{made.body['challenge']['token']}.{thumbprint}")
        assert (await acme.create("tls.test")).status == 201


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


async def test_an_order_whose_key_does_not_open_is_forgotten(serve: Serve, sql: Any) -> None:
    async with serve() as acme:
        await acme.register()
        await acme.authorized("e.test")
        await sql.execute(
            "insert into vault.orders (id, grid_id, names, directory, url, thumbprint, key_id, sealed)"
            " select id, grid_id, domain, directory, order_url, thumbprint, 'lost', repeat('x', 120)::bytea"
            " from vault.authorizations"
        )
        refused = await acme.create("e.test")
        assert refused.status == 422, refused
        assert "was written with another key than vault_svc has. Ask for it again" in str(refused.body)
        assert (await acme.create("e.test")).status == 201
