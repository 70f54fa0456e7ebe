"""What each command of the public CLI about the vault, registries and certificates sends, and what it needs back."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.e2e.conftest import Authority
from tests.integration.vault_svc.certificates import make
from tests.support.suite import Api

# Of the fixture `authority`.
AUTHORITY = {"PEBBLE_AUTHZREUSE": "100"}
MADE = make("test")
PEM = {"certificate": MADE.certificate, "private_key": MADE.key, "chain": MADE.chain}
GRID_AUTHORIZATIONS = "POST /v1/grids/:grid/domain_authorizations"


@dataclass(frozen=True)
class Sent:
    """A request of a command. `needs` are members whose absence breaks the command: `a.b`, `a[].b`."""

    command: str
    request: str
    body: Any = None
    needs: tuple[str, ...] = ()
    status: int = 200


def dns(domain: str) -> Sent:
    """Asks for a record, which is set before the next command."""
    body = {"domain": domain, "authorization_type": "dns-01"}
    return Sent(f"certificate authorize {domain}", GRID_AUTHORIZATIONS, body, ("challenge_opts.record_content",), 201)


SENT = [
    Sent("vault write s v", "POST /v1/grids/:grid/secrets", {"name": "s", "value": "v"}, status=201),
    Sent("vault update s v2", "PUT /v1/secrets/:grid/s", {"name": "s", "value": "v2", "upsert": False}),
    Sent("vault update -u s v2", "PUT /v1/secrets/:grid/s", {"name": "s", "value": "v2", "upsert": True}),
    Sent("vault read s", "GET /v1/secrets/:grid/s", needs=("name", "created_at", "value")),
    Sent("vault ls", "GET /v1/grids/:grid/secrets", needs=("secrets", "secrets[].created_at", "secrets[].updated_at")),
    Sent("vault ls -q", "GET /v1/grids/:grid/secrets", needs=("secrets[].name",)),
    Sent("vault export", "GET /v1/grids/:grid/secrets", needs=("secrets[].name",)),
    Sent("vault export", "GET /v1/secrets/:grid/s", needs=("value",)),
    Sent("vault rm --force s", "DELETE /v1/secrets/:grid/s"),
    Sent("vault import", "PUT /v1/secrets/:grid/a", {"name": "a", "value": "1", "upsert": True}, status=201),
    Sent("vault import", "DELETE /v1/secrets/:grid/a"),
    Sent(
        "external-registry add",
        "POST /v1/grids/:grid/external_registries",
        {"username": "foo", "password": "p", "email": "foo@x", "url": "https://registry.domain.com/"},
        status=201,
    ),
    Sent("external-registry ls", "GET /v1/grids/:grid/external_registries", needs=("external_registries[].name",)),
    Sent("external-registry rm", "DELETE /v1/external_registries/:grid/registry.domain.com"),
    Sent("certificate register", "POST /v1/certificates/:grid/register", {"email": "me@x.org"}, status=201),
    dns("a.com"),
    dns("b.com"),
    Sent(
        "certificate authorize --type http-01 --linked-service lb c.com",
        GRID_AUTHORIZATIONS,
        {"domain": "c.com", "authorization_type": "http-01", "linked_service": "null/lb"},
        ("linked_service.id", "id", "status"),
        201,
    ),
    Sent(
        "certificate authorize, waiting",
        "GET /v1/domain_authorizations/:grid/c.com",
        needs=("status", "authorization_type"),
    ),
    Sent(
        "certificate request a.com b.com",
        "POST /v1/grids/:grid/certificates",
        {"domains": ["a.com", "b.com"]},
        ("id", "subject", "valid_until", "alt_names"),
        201,
    ),
    Sent(
        "certificate get --secret-name S a.com",
        "POST /v1/certificates/:grid/certificate",
        {"domains": ["a.com"], "secret_name": "S"},
        ("[]",),
        201,
    ),
    Sent(
        "certificate ls",
        "GET /v1/grids/:grid/certificates",
        needs=("certificates[].subject", "certificates[].valid_until"),
    ),
    Sent(
        "certificate import", "PUT /v1/certificates/:grid/test", PEM, ("valid_until", "subject", "auto_renewable"), 201
    ),
    Sent(
        "certificate show test",
        "GET /v1/certificates/:grid/test",
        needs=("id", "valid_until", "alt_names", "auto_renewable"),
    ),
    Sent(
        "certificate export test",
        "GET /v1/certificates/:grid/test/export",
        needs=("certificate", "chain", "private_key"),
    ),
    Sent("certificate rm --force test", "DELETE /v1/certificates/:grid/test"),
]


def found(document: Any, path: str) -> list[Any]:
    """The values of a member, of all elements where a list is on the way; fails where it is missing."""
    values = [document]
    for step in path.split("."):
        name, is_list = step.removesuffix("[]"), step.endswith("[]")
        values = [value[name] if name else value for value in values]
        if is_list:
            assert all(isinstance(value, list) and value for value in values), path
            values = [item for value in values for item in value]
    return values


@pytest.fixture(scope="module")
def lb(api: Api, authority: Authority, image: str) -> Iterator[None]:
    ports = [{"ip": authority.domains_at, "node_port": 80, "container_port": 80}]
    body = {"name": "lb", "image": image, "stateful": False, "cmd": ["sleep", "1000"], "ports": ports}
    body |= {"stop_grace_period": "0s"}
    service = api.call("POST", f"/v1/grids/{api.grid}/services", body, status=201)["id"]
    yield
    api.call("DELETE", f"/v1/services/{service}")


@pytest.mark.usefixtures("lb")
@pytest.mark.parametrize("sent", SENT, ids=[one.command for one in SENT])
def test_each_command_gets_what_it_needs(api: Api, authority: Authority, sent: Sent) -> None:
    verb, _, path = sent.request.replace(":grid", api.grid).partition(" ")
    answer = api.request(verb, path, sent.body)
    assert answer.status_code == sent.status, answer.text
    document = answer.json()
    for path in sent.needs:
        assert all(value is not None for value in found(document, path)), (path, document)
    options = document.get("challenge_opts") or {} if isinstance(document, dict) else {}
    if "record_content" in options:
        name = f"{options['record_name']}.{document['domain']}"
        asyncio.run(authority.ca.set_txt(name, options["record_content"]))
