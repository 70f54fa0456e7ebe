"""What the API refuses, and how it says so (docs/errors.md)."""

import subprocess

import pytest

from tests.support.suite import Api, Suite

# Method, path with a grid and ids that exist or not, body. Each needs a token.
PROTECTED = [
    ("GET", "/v1/user", None),
    ("GET", "/oauth2/tokens", None),
    ("POST", "/oauth2/authorize", {"response_type": "token", "scope": "user"}),
    ("GET", "/v1/grids", None),
    ("POST", "/v1/grids", {"name": "other"}),
    ("GET", "/v1/grids/{grid}", None),
    ("PUT", "/v1/grids/{grid}", {}),
    ("DELETE", "/v1/grids/{grid}", None),
    ("GET", "/v1/grids/{grid}/nodes", None),
    ("GET", "/v1/nodes/{grid}/local-node", None),
    ("PUT", "/v1/nodes/{grid}/local-node", {}),
    ("DELETE", "/v1/nodes/{grid}/local-node", None),
    ("GET", "/v1/grids/{grid}/services", None),
    ("POST", "/v1/grids/{grid}/services", {"name": "x", "image": "x", "stateful": False}),
    ("GET", "/v1/services/{grid}/null/x", None),
    ("PUT", "/v1/services/{grid}/null/x", {}),
    ("DELETE", "/v1/services/{grid}/null/x", None),
    ("POST", "/v1/services/{grid}/null/x/deploy", {}),
    ("POST", "/v1/services/{grid}/null/x/scale", {"instances": 1}),
    ("POST", "/v1/services/{grid}/null/x/start", {}),
    ("POST", "/v1/services/{grid}/null/x/stop", {}),
    ("POST", "/v1/services/{grid}/null/x/restart", {}),
    ("GET", "/v1/services/{grid}/null/x/deploys/1", None),
    ("GET", "/v1/services/{grid}/null/x/container_logs", None),
    ("GET", "/v1/services/{grid}/null/x/container_logs?follow=1", None),
    ("GET", "/v1/grids/{grid}/secrets", None),
    ("POST", "/v1/grids/{grid}/secrets", {"name": "x", "value": "y"}),
    ("GET", "/v1/secrets/{grid}/x", None),
    ("PUT", "/v1/secrets/{grid}/x", {"value": "y"}),
    ("DELETE", "/v1/secrets/{grid}/x", None),
]
IN_A_GRID = [row for row in PROTECTED if "{grid}" in row[1]]
# OAuth bodies may be forms; the tests of auth_svc cover them.
WITH_JSON = [row for row in PROTECTED if row[2] is not None and not row[1].startswith("/oauth2/")]


@pytest.mark.parametrize(("method", "path", "body"), PROTECTED)
@pytest.mark.parametrize("token", ["", "0123456789abcdef", "Ü"])
def test_no_call_without_a_good_token(api: Api, method: str, path: str, body: object, token: str) -> None:
    stranger = Api(api.url, "", api.grid)
    headers = {"Authorization": f"Bearer {token}".encode()} if token else {}
    answer = stranger.request(method, path.format(grid=api.grid), body, headers=headers)
    assert answer.status_code == 401, answer.text
    assert answer.json()["error"] == "invalid_token"
    assert answer.headers["www-authenticate"].startswith('Bearer realm="kontena_master", error="invalid_token"')


@pytest.fixture(scope="module")
def foreigner(suite: Suite, api: Api) -> Api:
    """A user who is a member of no grid."""
    admin = [".venv/bin/python", "-m", "deploy.local", "admin"]
    for words in (["create-user", "--email", "foreigner@example.com"],):
        subprocess.run([*admin, *words], cwd=suite.folder, env=suite.env, check=True, capture_output=True)
    body = {"response_type": "token", "scope": "user", "expires_in": "600", "user": "foreigner@example.com"}
    token = api.call("POST", "/oauth2/authorize", body, status=201)["access_token"]
    return Api(api.url, token, api.grid)


@pytest.mark.parametrize(("method", "path", "body"), IN_A_GRID)
def test_a_foreign_grid_is_refused(foreigner: Api, method: str, path: str, body: object) -> None:
    answer = foreigner.request(method, path.format(grid=foreigner.grid), body)
    assert answer.status_code == 403, answer.text
    assert "error" in answer.json()


def test_a_foreigner_sees_no_grid(foreigner: Api) -> None:
    assert foreigner.call("GET", "/v1/grids") == {"grids": []}


@pytest.mark.parametrize(("method", "path", "body"), IN_A_GRID)
def test_an_unknown_grid_is_not_found(api: Api, method: str, path: str, body: object) -> None:
    answer = api.request(method, path.format(grid="no-such-grid"), body)
    assert (answer.status_code, answer.json()) == (404, {"error": "Not found"})


@pytest.mark.parametrize(
    ("method", "path", "body"), [row for row in IN_A_GRID if "/null/x" in row[1] or row[1].endswith("/x")]
)
def test_an_unknown_id_is_not_found(api: Api, method: str, path: str, body: object) -> None:
    answer = api.request(method, path.format(grid=api.grid), body)
    assert (answer.status_code, answer.json()) == (404, {"error": "Not found"})


@pytest.mark.parametrize(("method", "path", "body"), WITH_JSON)
@pytest.mark.parametrize("text", ["{", "[]", '"x"', '{"name": }', "\x00"])
def test_broken_json_is_a_bad_request(api: Api, method: str, path: str, body: object, text: str) -> None:
    del body
    answer = api.request(method, path.format(grid=api.grid), content=text.encode())
    assert answer.status_code == 400, answer.text
    assert "error" in answer.json()


@pytest.mark.parametrize(
    ("path", "body", "error"),
    [
        ("/v1/grids", {"name": "ab"}, {"name": "Name is too short"}),
        ("/v1/grids", {"name": "a b c"}, {"name": "Name isn't in the right format"}),
        ("/v1/grids", {"name": "abc", "initial_size": 8}, {"initial_size": "Initial Size is too big"}),
        ("/v1/grids/{grid}/services", {"name": "x", "image": "x"}, {"stateful": "Stateful is required"}),
        (
            "/v1/grids/{grid}/services",
            {"name": "x", "image": "x", "stateful": False, "env": ["A=1", "FOO"]},
            {"env": [None, "Env[1] isn't in the right format"]},
        ),
        (
            "/v1/grids/{grid}/services",
            {"name": "x", "image": "x", "stateful": False, "secrets": [{"secret": "NOPE", "name": "N"}]},
            {"secrets": ["Secret NOPE does not exist"]},
        ),
        ("/v1/grids/{grid}/secrets", {"name": "-x", "value": "y"}, {"name": "Name isn't in the right format"}),
        ("/v1/grids/{grid}/secrets", {"name": "x", "value": " "}, {"value": "Value can't be blank"}),
    ],
)
def test_bad_attributes_come_back_as_a_field_map(api: Api, path: str, body: object, error: object) -> None:
    assert api.call("POST", path.format(grid=api.grid), body, status=422) == {"error": error}


def test_unknown_routes_are_not_found(api: Api) -> None:
    for path in ("/v1/nope", "/v2/grids", "/v1/services/a/b/c/d/e", "/kontena.vault.v1.SecretDeliveryService/X"):
        answer = api.request("GET", path)
        assert (answer.status_code, answer.json()) == (404, {"error": "Not found"})
