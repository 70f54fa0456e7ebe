"""A secret's value reaches the container, and nothing else."""

from tests.integration.vault_svc.certificates import make
from tests.support.containers import Docker
from tests.support.leaks import forms
from tests.support.suite import Api, Suite, soon

VALUE = "s3cr3t-4b1d0c-välue\n"
PASSWORD = "p4ssw0rd-of-a-registry"


def test_a_secret_value_reaches_the_container_and_nothing_else(api: Api, docker: Docker, image: str) -> None:
    created = api.call("POST", f"/v1/grids/{api.grid}/secrets", {"name": "PASSWORD", "value": VALUE}, status=201)
    assert created["value"] == VALUE
    body = {
        "name": "keeper",
        "image": image,
        "stateful": False,
        "cmd": ["sh", "-c", 'echo "length ${#DB_PASSWORD}"; sleep 1000'],
        "stop_grace_period": "0s",
        "secrets": [{"secret": "PASSWORD", "name": "DB_PASSWORD", "type": "env"}],
    }
    service = api.call("POST", f"/v1/grids/{api.grid}/services", body, status=201)["id"]
    answers = [api.deploy(service)]
    container = docker.one(service)
    assert f"DB_PASSWORD={VALUE}" in container["Config"]["Env"]

    def logged() -> list[str]:
        return [item["data"] for item in api.call("GET", f"/v1/services/{service}/container_logs")["logs"]]

    soon(lambda: f"length {len(VALUE.encode())}" in logged(), message="the container saw the value")
    paths = (f"grids/{api.grid}/secrets", f"grids/{api.grid}/services", f"services/{service}", "audit_logs?limit=3000")
    answers += [api.call("GET", f"/v1/{path}") for path in paths]
    answers.append(api.call("POST", f"/v1/grids/{api.grid}/secrets", {"name": "PASSWORD", "value": VALUE}, status=422))
    assert VALUE.strip() not in str(answers)
    api.call("DELETE", f"/v1/services/{service}")
    api.call("DELETE", f"/v1/secrets/{api.grid}/PASSWORD")


def test_no_value_of_any_kind_is_in_the_database_the_logs_or_the_audit_records(suite: Suite, api: Api) -> None:
    """Here with a value of each kind, at the end of the run with those of all tests (see the fixture `suite`)."""
    made = make("leak.test")
    secret, registry = f"/v1/secrets/{api.grid}/KEPT", {"url": "https://leak.test", "username": "bot"}
    api.call("PUT", secret, {"value": VALUE, "upsert": True}, status=201)
    api.call("POST", f"/v1/grids/{api.grid}/external_registries", {**registry, "password": PASSWORD}, status=201)
    pem = {"certificate": made.certificate, "private_key": made.key, "chain": made.chain}
    api.call("PUT", f"/v1/certificates/{api.grid}/leak.test", pem, status=201)
    api.call("PUT", f"/v1/certificates/{api.grid}/leak.test", {**pem, "private_key": make("x.test").key}, status=422)
    assert {VALUE.strip(), PASSWORD, made.key.splitlines()[12]} <= api.secrets.values
    assert suite.leaks() == []
    for path in (
        secret.removeprefix("/v1/"),
        f"external_registries/{api.grid}/leak.test",
        f"certificates/{api.grid}/leak.test",
    ):
        api.call("DELETE", f"/v1/{path}")


def test_the_search_finds_what_it_looks_for(suite: Suite, api: Api) -> None:
    value = "a-value-that-was-written-down"
    api.secrets.values.add(value)
    try:
        files = {suite.var / f"written-down-{number}": form for number, form in enumerate(forms(value))}
        for file, form in files.items():
            file.write_text(f"x{form}y")
        body = {"name": "teller", "image": "none:1", "stateful": False, "env": [f"TOLD={value}"]}
        service = api.call("POST", f"/v1/grids/{api.grid}/services", body, status=201)["id"]
        found = suite.leaks()
        for file, form in files.items():
            file.unlink()
            assert any(str(file) in line for line in found), form
        assert any("/dump:" in line for line in found)
        api.call("DELETE", f"/v1/services/{service}")
    finally:
        api.secrets.values.discard(value)
