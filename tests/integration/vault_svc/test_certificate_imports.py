"""Certificates made elsewhere: in, out and away."""

from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from services.clients.certificates import CertificateResolver
from services.kernel.client import ServiceChannel
from services.kernel.cluster_token import ClusterTokens
from tests.integration.vault_svc.certificates import Made, make
from tests.integration.vault_svc.json_caller import Answer, JsonCaller
from tests.integration.vault_svc.stand_ins import ALPHA, Neighbours
from tests.support.eventually import eventually
from tests.support.running import CLUSTER_SECRET, Running


async def _import(api: JsonCaller, subject: str, made: Made, **changed: Any) -> Answer:
    body = {"certificate": made.certificate, "private_key": made.key, "chain": made.chain} | changed
    given = {name: value for name, value in body.items() if value is not None}
    return await api.call("CertificateService.ImportCertificate", id=f"alpha/{subject}", **given)


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


async def test_what_stands_around_a_key_is_left_out(vault_api: JsonCaller) -> None:
    made, other = make("x.test", kind="sec1"), make("other.test")
    around = f"\0 {made.certificate}{made.key}é\0{other.key}".replace("\n", "\r\n")
    assert (await _import(vault_api, "x.test", made, private_key=around)).status == 201
    exported = await vault_api.call("CertificateService.ExportCertificate", id="alpha/x.test")
    assert exported.body["private_key"] == made.key
    refused = await _import(vault_api, "x.test", made, private_key=other.key + made.key)
    assert refused.body == {"error": {"private_key": "Private Key does not belong to the certificate"}}


async def test_kinds_of_keys_that_can_be_imported(vault_api: JsonCaller) -> None:
    for subject, made in (
        ("ec.test", make("ec.test", kind="ec")),
        ("sec1.test", make("sec1.test", kind="sec1")),
        ("pkcs8.test", make("pkcs8.test", kind="pkcs8")),
        ("nocn.test", make("nocn.test", common_name=False)),
        ("test", make("test")),
    ):
        assert (await _import(vault_api, subject, made)).status == 201, subject


@pytest.mark.parametrize(
    ("kind", "header"), [("pkcs8", "RSA PRIVATE KEY"), ("rsa", "RSA PRIVATE KEY"), ("ec", "PRIVATE KEY")]
)
async def test_rsa_keys_are_exported_as_clients_know_them(
    vault_api: JsonCaller, vault: Running, kind: str, header: str
) -> None:
    made = make("x.test", kind=kind)
    assert (await _import(vault_api, "x.test", made)).status == 201
    exported = (await vault_api.call("CertificateService.ExportCertificate", id="alpha/x.test")).body["private_key"]
    assert exported.startswith(f"-----BEGIN {header}-----\n")
    assert exported.endswith(f"-----END {header}-----\n")
    known, given = (load_pem_private_key(text.encode(), None) for text in (exported, made.key))
    assert known.private_numbers() == given.private_numbers()  # type: ignore[union-attr]
    channel = ServiceChannel(vault.address, ClusterTokens(CLUSTER_SECRET), caller="deploy_svc")
    bundles = await CertificateResolver(channel).bundles(ALPHA, ["x.test"])
    await channel.close()
    bundle = bundles["x.test"]
    assert bundle is not None
    assert bundle.reveal().endswith(exported)


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
    assert (await viewer.call("CertificateService.GetCertificate", id="alpha/x.test")).status == 200
    hidden = await viewer.call("CertificateService.ExportCertificate", id="alpha/x.test")
    assert (hidden.status, "role viewer" in hidden.body["error"], "BEGIN" in str(hidden.body)) == (403, True, False)
    for rpc in ("RegisterAcmeAccount", "AuthorizeDomain", "CreateSecretCertificate", "CreateCertificate"):
        for caller in (stranger, viewer):
            assert (await caller.call(f"CertificateService.{rpc}", grid="alpha")).status == 403
        assert (await vault_api.call(f"CertificateService.{rpc}", grid="none")).status == 404
