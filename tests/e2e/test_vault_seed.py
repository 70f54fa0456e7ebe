"""The requests of the API reference about secrets, registries and certificates, letter for letter."""

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import Authority
from tests.support.suite import Api, soon

# Of the fixture `authority`.
AUTHORITY = {"PEBBLE_AUTHZREUSE": "100"}
SECRETS, SECRET = "/v1/services/my-grid/secrets", "/v1/secrets/my-grid/SECRET_PWD"
REGISTRIES = "/v1/grids/my-grid/external_registries"
SHOWN_SECRET = {"id": "my-grid/SECRET_PWD", "name": "SECRET_PWD", "value": "T0Ps3crT"}
SHOWN_REGISTRY = {
    "id": "my-grid/registry.domain.com",
    "name": "registry.domain.com",
    "url": "https://registry.domain.com/",
    "username": "a_bot",
    "email": "a_bot@domain.com",
}
NEW_SECRET = '{\n\t"name": "SECRET_PWD", \n\t"value": "T0Ps3crT"\n}'
CHANGE = '{\n\t"value": "T0Ps3crT", \n\t"upsert": false\n}'
NEW_REGISTRY = (
    '{\n\t"url": "https://registry.domain.com/", \n\t"username": "a_bot", \n\t"email": "a_bot@domain.com", \n'
    '\t"password": "xyz123"\n}'
)
CERTIFICATE = '{\n\t"secret_name": "FOO_DOMAIN_COM", \n\t"domains": ["foo.domain.com"], \n\t"cert_type": "fullchain"\n}'


@pytest.fixture(scope="module")
def my_grid(api: Api, authority: Authority) -> Iterator[Api]:
    api.call("POST", "/v1/grids", {"name": "my-grid"}, status=201)
    yield api
    soon(lambda: api.request("DELETE", "/v1/grids/my-grid").status_code == 200, message="the grid is gone")


def sent(api: Api, verb: str, path: str, body: str | None = None, *, status: int = 200) -> Any:
    """The JSON answer to a request as it is printed, with the scheme in lower case."""
    headers = {"Authorization": f"bearer {api.token}", "Accept": "application/json"}
    headers |= {"Content-Type": "application/json"} if body is not None else {}
    answer = httpx.request(verb, f"{api.url}{path}", headers=headers, content=body, timeout=60)
    assert answer.status_code == status, f"{verb} {path}: {answer.status_code} {answer.text}"
    return answer.json()


def shown(document: dict[str, Any], wanted: dict[str, Any]) -> bool:
    """Whether the documented attributes are there, with these values."""
    return wanted.items() <= document.items()


def test_secrets(my_grid: Api) -> None:
    assert sent(my_grid, "GET", SECRETS) == {"secrets": []}
    made = sent(my_grid, "POST", SECRETS, NEW_SECRET, status=201)
    assert shown(made, SHOWN_SECRET)
    assert made["created_at"] == made["updated_at"]
    taken = sent(my_grid, "POST", "/v1/grids/my-grid/secrets", NEW_SECRET, status=422)
    assert taken == {"error": {"name": "is already taken"}}
    for path in (SECRETS, "/v1/grids/my-grid/secrets"):
        [listed] = sent(my_grid, "GET", path)["secrets"]
        assert shown(listed, {"id": "my-grid/SECRET_PWD", "name": "SECRET_PWD", "created_at": made["created_at"]})
        assert "value" not in listed
    assert sent(my_grid, "PUT", SECRET, CHANGE) == made
    assert shown(sent(my_grid, "GET", SECRET), SHOWN_SECRET)
    assert sent(my_grid, "DELETE", SECRET) == {}
    assert sent(my_grid, "GET", SECRET, status=404) == {"error": "Not found"}
    assert sent(my_grid, "PUT", SECRET, CHANGE, status=404) == {"error": "Not found"}


def test_external_registries(my_grid: Api) -> None:
    assert sent(my_grid, "GET", REGISTRIES) == {"external_registries": []}
    assert sent(my_grid, "POST", REGISTRIES, NEW_REGISTRY, status=201) == SHOWN_REGISTRY
    assert sent(my_grid, "GET", REGISTRIES) == {"external_registries": [SHOWN_REGISTRY]}
    # The example is right; the endpoint line has no name in it, and must not mean all.
    assert sent(my_grid, "DELETE", REGISTRIES, status=422) == {"error": {"name": "Name is required"}}
    assert sent(my_grid, "DELETE", "/v1/external_registries/my-grid/registry.domain.com") == {}
    assert sent(my_grid, "GET", REGISTRIES) == {"external_registries": []}


def test_certificates(my_grid: Api, authority: Authority) -> None:
    path = "/v1/certificates/my-grid"
    body = '{\n\t"email": "john.doe@domain.com"\n}'
    assert [sent(my_grid, "POST", f"{path}/register", body, status=201) for _ in range(2)] == [{}, {}]
    record = sent(my_grid, "POST", f"{path}/authorize", '{\n\t"domain": "foo.domain.com"\n}', status=201)
    assert shown(record, {"record_name": "_acme-challenge", "record_type": "TXT"})
    asyncio.run(authority.ca.set_txt(f"{record['record_name']}.foo.domain.com", record["record_content"]))
    names = sent(my_grid, "POST", f"{path}/certificate", CERTIFICATE, status=201)
    assert names == ["FOO_DOMAIN_COM_PRIVATE_KEY", "FOO_DOMAIN_COM_CERTIFICATE", "FOO_DOMAIN_COM_BUNDLE"]
    key, certificate, bundle = [sent(my_grid, "GET", f"/v1/secrets/my-grid/{name}")["value"] for name in names]
    assert bundle == certificate + key
    assert certificate.count("BEGIN CERTIFICATE") == 2
