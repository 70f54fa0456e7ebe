"""What the gateway answers itself, and what it adds to every response."""

from pathlib import Path

import pytest

from services.kernel.version import VERSION
from tests.integration.gateway.conftest import Caller
from tests.integration.gateway.proxy import Gateway, eventually


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/", {"name": "Kontena Master", "tagline": "The Container Platform", "version": VERSION}),
        ("/v1/ping", {"message": "pong"}),
        ("/healthz", {"status": "ok"}),
    ],
)
def test_answers_without_a_service(call: Caller, path: str, body: object) -> None:
    response = call("GET", path)
    assert (response.status_code, response.json()) == (200, body)
    assert response.headers["content-type"] == "application/json"
    assert call("HEAD", path).status_code == 200
    assert call("POST", path, "{}").status_code == 404


@pytest.mark.parametrize("path", ["/", "/nope", "/v1/grids", "/v1/nodes/g/%00"])
def test_headers_of_every_response(call: Caller, path: str) -> None:
    headers = call("GET", path).headers
    assert headers["x-kontena-version"] == "1.5.5"
    assert headers["x-content-type-options"] == "nosniff"
    assert "server" not in headers
    assert not [name for name in headers if name.startswith(("x-envoy-", "grpc-"))]


def test_request_id_of_the_client_is_kept(call: Caller) -> None:
    mine = "c0ffee00-0000-4000-8000-00000000beef"
    response = call("GET", "/v1/grids", x_request_id=mine)
    assert response.headers["x-request-id"] == mine
    assert call.seen.metadata["x-request-id"] == mine


def test_request_id_is_made_when_absent(call: Caller) -> None:
    response = call.http.get("/v1/grids")
    assert call.echo.calls.pop(response.headers["x-request-id"]).path.endswith("/ListGrids")


def test_credentials_and_answer_headers_pass(call: Caller) -> None:
    response = call("GET", "/v1/user", plan={"initial": [["etag", "v1"]]}, authorization="Bearer t", user_agent="k/1")
    assert response.headers["etag"] == "v1"
    assert (call.seen.metadata["authorization"], call.seen.metadata["user-agent"]) == ("Bearer t", "k/1")


def test_access_log_tells_what_happened_and_no_secret(call: Caller, gateway: Gateway) -> None:
    call("GET", "/v1/nodes/g/n?token=s3cret", authorization="Bearer s3cret", x_request_id="logged")
    call("POST", "/oauth2/token", "refresh_token=s3cret", x_request_id="logged-too")
    entries = eventually_logged(gateway, "logged", "logged-too")
    first = entries["logged"]
    assert (first["method"], first["path"], first["status"]) == ("GET", "/v1/nodes/g/n", 200)
    assert (first["rpc"], first["client"]) == ("/kontena.grid.v1.NodeService/GetNode", "127.0.0.1")
    assert "s3cret" not in str(entries)


TOKEN = "t0ken-that-somebody-pasted"


@pytest.mark.parametrize(
    ("method", "path", "rpc"),
    [
        ("GET", f"/oauth2/tokens/{TOKEN}", "/kontena.auth.v1.AccessTokenService/GetAccessToken"),
        ("DELETE", f"/oauth2/tokens/{TOKEN}?x=1", "/kontena.auth.v1.AccessTokenService/DeleteAccessToken"),
        # No route at all.
        ("GET", f"/oauth2/tokens/{TOKEN}/more", "/oauth2/tokens/[masked]"),
        ("GET", f"//OAuth2//token/{TOKEN}", "/oauth2/tokens/[masked]"),
        ("PATCH", f"/oauth2/token%73/{TOKEN}", "/oauth2/tokens/[masked]"),
    ],
)
def test_a_token_in_the_path_is_masked_in_the_access_log(
    call: Caller, gateway: Gateway, method: str, path: str, rpc: str
) -> None:
    request_id = f"masked-{method}-{len(path)}"
    call.http.request(method, f"{gateway.url}{path}", headers={"x-request-id": request_id})
    entry = eventually_logged(gateway, request_id)[request_id]
    assert (entry["path"], entry["rpc"], entry["method"]) == ("/oauth2/tokens/[masked]", rpc, method)
    assert TOKEN not in Path(gateway.settings.access_log_path).read_text()


def test_an_invitation_is_not_in_the_access_log(call: Caller, gateway: Gateway) -> None:
    code = "c0de-of-an-invitation"
    call("GET", f"/authenticate?redirect_uri=http://localhost/cb&invite_code={code}", x_request_id="invited")
    assert eventually_logged(gateway, "invited")["invited"]["path"] == "/authenticate"
    assert code not in Path(gateway.settings.access_log_path).read_text()


def eventually_logged(gateway: Gateway, *ids: str) -> dict[str, dict[str, object]]:
    found: dict[str, dict[str, object]] = {}

    def complete() -> bool:
        found.update({entry["request_id"]: entry for entry in gateway.access_log() if entry["request_id"] in ids})
        return len(found) == len(ids)

    eventually(complete, f"access log entries {ids}")
    return found
