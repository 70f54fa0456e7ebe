"""Certificates through REST, the suite and real containers, from a real ACME server."""

import asyncio
import os
import signal
import ssl
from typing import Any

import asyncpg
import httpx
import pytest
from cryptography import x509

from tests.e2e.conftest import Authority
from tests.support.containers import Docker
from tests.support.kctl import Kctl
from tests.support.leaks import key_lines
from tests.support.suite import Api, Suite, soon

# Of the fixture `authority`: it never takes an authorization over into another order.
AUTHORITY = {"PEBBLE_AUTHZREUSE": "0"}
# What a balancer does with what it gets: challenges of http-01 become files on port 80, the certificate of a
# tls-alpn-01 challenge is served on port 443, and without one the certificate that the service names. Port 80 is open
# last: with it the deploy ends, and validation begins.
BALANCER = r"""
export OPENSSL_CONF=/dev/null
mkdir -p /www/.well-known/acme-challenge
tr '\0' '\n' </proc/1/environ | grep '^ACME_CHALLENGE_' | while IFS= read -r line; do
  name="${line%%=*}"
  printf %s "${line#*=}" >"/www/.well-known/acme-challenge/${name#ACME_CHALLENGE_}"
done
alpn=$(env | grep -o '^ACME_ALPN_[a-z0-9_]*' | head -n 1)
if [ -n "$alpn" ]; then
  eval "printf %s \"\$$alpn\"" >/tmp/tls.pem
  openssl s_server -quiet -accept 443 -www -alpn acme-tls/1 -cert /tmp/tls.pem -key /tmp/tls.pem &
  until grep -qi ':01bb .* 0A ' /proc/net/tcp /proc/net/tcp6; do usleep 20000; done
elif [ -n "$SSL_CERTS" ]; then
  printf %s "$SSL_CERTS" >/tmp/tls.pem
  openssl s_server -quiet -accept 443 -www -cert /tmp/tls.pem -key /tmp/tls.pem -cert_chain /tmp/tls.pem &
fi
exec httpd -f -p 80 -h /www
"""


@pytest.fixture(scope="module")
def registered(api: Api, authority: Authority) -> None:
    """The grid has an account."""
    assert api.call("POST", f"/v1/certificates/{api.grid}/register", {"email": "john.doe@domain.com"}, status=201) == {}


@pytest.fixture(scope="module")
def balancer(api: Api, authority: Authority, tls_image: str) -> Any:
    """A running service that publishes challenges; yields its id."""
    ports = [{"ip": authority.domains_at, "node_port": port, "container_port": port} for port in (80, 443)]
    body = {"name": "balancer", "image": tls_image, "stateful": False, "stop_grace_period": "0s", "ports": ports}
    body |= {"cmd": ["sh", "-c", BALANCER], "deploy_opts": {"wait_for_port": 80}}
    service = api.call("POST", f"/v1/grids/{api.grid}/services", body, status=201)["id"]
    api.deploy(service)
    yield service
    api.call("DELETE", f"/v1/services/{service}")


def authorized(api: Api, domain: str, kind: str) -> dict[str, Any]:
    """An authorization through the balancer, once its challenge is deployed."""
    body = {"domain": domain, "authorization_type": kind, "linked_service": "null/balancer"}
    made = api.call("POST", f"/v1/grids/{api.grid}/domain_authorizations", body, status=201)
    assert made["linked_service"] == {"id": f"{api.grid}/null/balancer"}

    def deployed() -> dict[str, Any] | None:
        found = api.call("GET", f"/v1/domain_authorizations/{api.grid}/{domain}")
        return found if found["status"] != "deploying" else None

    found = soon(deployed, message="the challenge is deployed")
    assert found["status"] == "created"
    return found


def restart_vault(suite: Suite, api: Api) -> None:
    """Kill the process; the supervisor starts another one."""
    [before] = suite.pids("vault_svc")
    os.kill(before, signal.SIGKILL)

    def back() -> bool:
        return suite.pids("vault_svc") not in ([], [before]) and (
            api.request("GET", f"/v1/grids/{api.grid}/secrets").status_code == 200
        )

    soon(back, message="vault_svc is back")


async def served(authority: Authority, domain: str) -> x509.Certificate:
    """The certificate that the balancer shows for a domain, verified up to the root of the authority."""
    trust = ssl.create_default_context(cadata=await authority.ca.root())
    _, writer = await asyncio.open_connection(authority.domains_at, 443, ssl=trust, server_hostname=domain)
    der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    return x509.load_der_x509_certificate(der)


async def eventually_served(authority: Authority, domain: str, other_than: int = 0) -> x509.Certificate:
    """As `served`, once it is another one than that with the serial number."""
    for _ in range(600):
        try:
            found = await served(authority, domain)
            if found.serial_number != other_than:
                return found
        except OSError:
            pass
        await asyncio.sleep(0.1)
    raise AssertionError(f"no other certificate is served for {domain}")


@pytest.mark.usefixtures("registered")
async def test_http_01_is_validated_at_the_linked_service_and_renewed(
    suite: Suite, api: Api, docker: Docker, authority: Authority, balancer: str
) -> None:
    domain = "www.http.test"
    challenge = authorized(api, domain, "http-01")["challenge_opts"]
    container = docker.one(balancer)
    assert f"ACME_CHALLENGE_{challenge['token']}={challenge['content']}" in container["Config"]["Env"]
    url = f"http://{authority.domains_at}/.well-known/acme-challenge/{challenge['token']}"
    async with httpx.AsyncClient(trust_env=False) as client:
        assert (await client.get(url)).text == challenge["content"]

    restart_vault(suite, api)
    issued = api.call("POST", f"/v1/grids/{api.grid}/certificates", {"domains": [domain]}, status=201)
    assert (issued["subject"], issued["auto_renewable"]) == (domain, True)
    assert api.call("GET", f"/v1/domain_authorizations/{api.grid}/{domain}")["status"] == "validated"

    # The key is known now, and searched for at the end of the run.
    assert "PRIVATE KEY" in api.call("GET", f"/v1/certificates/{api.grid}/{domain}/export")["private_key"]
    uses = {"certificates": [{"subject": domain, "name": "SSL_CERTS", "type": "env"}]}
    api.call("PUT", f"/v1/services/{balancer}", uses)
    api.deploy(balancer)
    first = await eventually_served(authority, domain)
    used = api.call("DELETE", f"/v1/certificates/{api.grid}/{domain}", status=422)
    assert used == {"error": {"certificate": f"Certificate still in use in services: {balancer}"}}

    connection = await asyncpg.connect(suite.database_url)
    aged = "update vault.certificates set valid_until = now() + interval '1 day' where subject = $1"
    assert await connection.execute(aged, domain) == "UPDATE 1"
    await connection.close()
    second = await eventually_served(authority, domain, other_than=first.serial_number)
    assert second.not_valid_after_utc >= first.not_valid_after_utc

    def told() -> bool:
        logs = api.call("GET", f"/v1/grids/{api.grid}/event_logs?limit=100")["logs"]
        return any(
            event["type"] == "certificate:renew" and f"{domain} was renewed" in event["message"] for event in logs
        )

    soon(told, message="the renewal is in the event log")


@pytest.mark.usefixtures("registered")
async def test_tls_alpn_01_is_validated_at_the_linked_service(
    api: Api, docker: Docker, authority: Authority, balancer: str
) -> None:
    domain = "www.tls.test"
    found = authorized(api, domain, "tls-sni-01")
    assert (found["authorization_type"], found.get("challenge_opts")) == ("tls-alpn-01", None)
    container = docker.one(balancer)
    [value] = [entry for entry in container["Config"]["Env"] if entry.startswith("ACME_ALPN_www_tls_test=-----BEGIN")]
    # Known only to the service, and searched for at the end of the run like everything secret.
    api.secrets.values |= set(key_lines(value))
    issued = api.call("POST", f"/v1/grids/{api.grid}/certificates", {"domains": [domain]}, status=201)
    assert issued["subject"] == domain
    assert api.call("DELETE", f"/v1/certificates/{api.grid}/{domain}") == {}


@pytest.mark.usefixtures("registered")
async def test_the_documented_flow_with_a_wildcard_and_a_restart(
    suite: Suite, api: Api, authority: Authority, tmp_path: Any
) -> None:
    domains = ["foo.domain.com", "*.foo.domain.com"]
    path = f"/v1/certificates/{api.grid}"
    records = [api.call("POST", f"{path}/authorize", {"domain": domain}, status=201) for domain in domains]
    for record in records:
        assert (record["record_name"], record["record_type"]) == ("_acme-challenge", "TXT")
        assert record["record_fqdn"] == "_acme-challenge.foo.domain.com"
        assert len(record["record_content"]) == 43
    body = {"secret_name": "FOO_DOMAIN_COM", "domains": domains, "cert_type": "fullchain"}
    missing = api.call("POST", f"{path}/certificate", body, status=422)
    assert "Expected DNS record not present for domain foo.domain.com" in missing["error"]["dns_record"]
    for record in records:
        await authority.ca.set_txt(record["record_fqdn"], record["record_content"])
    restart_vault(suite, api)
    # The authority takes no authorization over into another order, so an order of two names asks for new records.
    asked = api.call("POST", f"{path}/certificate", body, status=422)["error"]["dns_record"]
    for line in asked.split("; "):
        await authority.ca.set_txt("_acme-challenge.foo.domain.com", line.rpartition(" ")[2])
    answer = api.request("POST", f"{path}/certificate", body)
    names = answer.json()
    assert answer.status_code == 201
    assert names == [f"FOO_DOMAIN_COM_{part}" for part in ("PRIVATE_KEY", "CERTIFICATE", "BUNDLE")]
    bundle = tmp_path / "bundle.pem"
    bundle.write_text(api.call("GET", f"/v1/secrets/{api.grid}/FOO_DOMAIN_COM_BUNDLE")["value"])
    ssl.create_default_context().load_cert_chain(bundle)
    leaf = x509.load_pem_x509_certificate(bundle.read_bytes())
    names_of = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert set(names_of.get_values_for_type(x509.DNSName)) == set(domains)
    shown = api.call("GET", f"/v1/domain_authorizations/{api.grid}/%2A.foo.domain.com")
    assert (shown["domain"], shown["status"]) == ("*.foo.domain.com", "validated")
    for name in names:
        api.call("DELETE", f"/v1/secrets/{api.grid}/{name}")


@pytest.mark.usefixtures("registered")
async def test_the_command_line_gets_and_keeps_a_certificate(
    api: Api, authority: Authority, kctl: Kctl, tmp_path: Any
) -> None:
    domain, other = "cli.domain.com", "kept.domain.com"

    def certificate(*words: str) -> Any:
        return kctl.ok("cert", *words, "-o", "json").document

    assert kctl.ok("cert", "register", "john.doe@domain.com").err == "registered john.doe@domain.com\n"
    refused = kctl("cert", "request", domain)
    assert refused.code == 1
    assert domain in refused.err
    asked = await asyncio.to_thread(certificate, "domain", "authorize", domain)
    record = asked["challenge_opts"]
    await authority.ca.set_txt(f"{record['record_name']}.{domain}", record["record_content"])
    made = await asyncio.to_thread(certificate, "request", domain)
    assert (made["subject"], made["auto_renewable"]) == (domain, False)
    assert certificate("domain", "show", domain)["status"] == "validated"
    assert domain in kctl.ok("cert", "ls", "-o", "name").lines
    assert certificate("show", domain)["subject"] == domain

    exported = certificate("export", domain)
    api.secrets.values |= set(key_lines(exported["private_key"]))
    text = kctl.ok("cert", "export", domain).out
    assert text == exported["certificate"] + exported["chain"] + exported["private_key"]
    files = {name: tmp_path / name for name in ("certificate", "chain", "private_key")}
    for name, path in files.items():
        path.write_text(exported[name])
    words = ["--cert", str(files["certificate"]), "--key", str(files["private_key"]), "--chain", str(files["chain"])]
    kctl.ok("cert", "rm", domain, "-y")
    assert kctl("cert", "import", other, *words).code == 1, "it is for another domain"
    assert certificate("import", domain, *words)["subject"] == domain
    kctl.ok("cert", "rm", domain, "-y")
    kctl.ok("cert", "domain", "rm", domain, "-y")
    assert domain not in kctl.ok("cert", "domain", "ls", "-o", "name").lines
