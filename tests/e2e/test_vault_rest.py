"""The vault through the gateway: names with ports and wildcards, a backup, a changed secret in its containers."""

import subprocess
from pathlib import Path

from tests.support.containers import Docker
from tests.support.suite import Api, Suite, soon


def test_values_pass_the_gateway_byte_for_byte_and_are_not_to_be_stored(api: Api) -> None:
    secret, longest = f"/v1/secrets/{api.grid}/BYTES", "\r\n\u00e9\t " + "x" * (131_072 - 6)
    made = api.request("PUT", secret, {"value": longest, "upsert": True})
    assert (made.status_code, made.json()["value"]) == (201, longest)
    assert api.call("PUT", secret, {"value": longest + "x"}, status=422) == {"error": {"value": "Value is too long"}}
    read = api.request("GET", secret)
    assert (read.json()["value"], read.headers["cache-control"]) == (longest, "no-store")
    api.call("DELETE", secret)


def test_registries_with_ports_and_all_ways_to_remove_one(api: Api) -> None:
    path = f"/v1/grids/{api.grid}/external_registries"
    body = {"username": "a_bot", "email": "a_bot@domain.com", "password": "xyz"}
    for port, spelling in ((5001, "r.io:5001"), (5002, "r.io%3A5002")):
        api.call("POST", path, body | {"url": f"https://r.io:{port}"}, status=201)
        assert api.call("GET", f"/v1/external_registries/{api.grid}/{spelling}")["name"] == f"r.io:{port}"
        assert api.call("DELETE", f"/v1/external_registries/{api.grid}/{spelling}") == {}
    for port in (5001, 5003):
        api.call("POST", path, body | {"url": f"https://r.io:{port}"}, status=201)
    assert api.call("DELETE", f"{path}/r.io:5001") == {}
    assert api.call("DELETE", path, status=422) == {"error": {"name": "Name is required"}}
    assert api.call("DELETE", path, {"name": "r.io:5003"}) == {}
    assert api.call("GET", path) == {"external_registries": []}


def test_certificate_requests_without_an_account(api: Api) -> None:
    refused = api.call("POST", f"/v1/certificates/{api.grid}/authorize", {"domain": "foo.domain.com"}, status=422)
    assert refused == {"error": {"acme_client": "Registration probably missing for LE"}}
    body = {"secret_name": "FOO", "domains": ["foo.domain.com"], "cert_type": "fullchain"}
    refused = api.call("POST", f"/v1/certificates/{api.grid}/certificate", body, status=422)
    text = "Domain authorization not found for domain foo.domain.com"
    assert refused == {"error": {"authorization": text}}
    body = {"domain": "foo.domain.com", "authorization_type": "dns-01"}
    refused = api.call("POST", f"/v1/grids/{api.grid}/domain_authorizations", body, status=422)
    assert list(refused["error"]) == ["le_registration"]
    assert api.call("GET", f"/v1/grids/{api.grid}/certificates") == {"certificates": []}
    assert api.call("GET", f"/v1/grids/{api.grid}/domain_authorizations") == {"domain_authorizations": []}
    for subject in ("foo.domain.com", "*.domain.com", "%2A.domain.com", "register"):
        api.call("GET", f"/v1/certificates/{api.grid}/{subject}", status=404)
        api.call("GET", f"/v1/certificates/{api.grid}/{subject}/export", status=404)


def test_the_vault_of_a_grid_comes_back_from_an_export(suite: Suite, api: Api, tmp_path: Path) -> None:
    secret, value = f"/v1/secrets/{api.grid}/KEEP", "a-value-to-be-kept\n"
    api.call("PUT", secret, {"value": value, "upsert": True}, status=201)
    for command in ("export", "import"):
        words = [str(suite.folder / ".venv/bin/python"), "-m", "deploy.local", "vault", command, api.grid, "grid.vault"]
        env = {**suite.env, "KONTENA_VAR": str(suite.var), "PYTHONPATH": str(suite.folder)}
        env["VAULT_EXPORT_PASSPHRASE"] = "a passphrase that is long"
        done = subprocess.run(words, cwd=tmp_path, env=env, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        if command == "export":
            api.call("DELETE", secret)
    assert value.strip().encode() not in (tmp_path / "grid.vault").read_bytes()
    assert api.call("GET", secret)["value"] == value
    api.call("DELETE", secret)


def test_a_changed_secret_redeploys_exactly_its_users(api: Api, docker: Docker, image: str) -> None:
    api.call("POST", f"/v1/grids/{api.grid}/secrets", {"name": "TURN", "value": "one"}, status=201)
    body = {"image": image, "stateful": False, "cmd": ["sleep", "1000"], "stop_grace_period": "0s"}
    uses = {"secrets": [{"secret": "TURN", "name": "TURN", "type": "env"}]}
    user = api.call("POST", f"/v1/grids/{api.grid}/services", {"name": "turner", **body, **uses}, status=201)["id"]
    other = api.call("POST", f"/v1/grids/{api.grid}/services", {"name": "bystander", **body}, status=201)["id"]
    for service in (user, other):
        api.deploy(service)
    before, kept = docker.one(user), docker.one(other)
    secret = f"/v1/secrets/{api.grid}/TURN"
    soon(
        lambda: [service["id"] for service in api.call("GET", secret)["services"]] == [user],
        message="its user is named",
    )
    revisions = [api.call("GET", f"/v1/services/{service}")["revision"] for service in (user, other)]
    api.call("PUT", secret, {"value": "one"})
    api.call("PUT", secret, {"value": "two"})

    def turned() -> bool:
        containers = docker.all(user)
        return len(containers) == 1 and "TURN=two" in containers[0]["Config"]["Env"]

    soon(turned, message="the new value is in the container")
    assert docker.one(user)["Id"] != before["Id"]
    assert docker.one(other)["Id"] == kept["Id"]
    now = [api.call("GET", f"/v1/services/{service}")["revision"] for service in (user, other)]
    assert now == [revisions[0] + 1, revisions[1]], "the unchanged write did nothing"
    for service in (user, other):
        api.call("DELETE", f"/v1/services/{service}")
    api.call("DELETE", secret)
