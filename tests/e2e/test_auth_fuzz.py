"""No request to the endpoints of auth_svc makes it fail, whatever the parameters are."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlencode

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.e2e.auth_people import PROVIDER, email, people
from tests.support.suite import Api

# Told on purpose: no provider is configured, or the provider sent an error.
EXPLAINED = {501, 502}
# One for all requests: to make one takes longer than a request.
CLIENT = httpx.Client(timeout=60)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
WORDS = st.sampled_from(
    ["admin", "viewer", "/code", "http://localhost/", "*", "null", "server.salt", "x_secret", "token", "code", "invite",
     "user,owner", "authorization_code", "refresh_token", "-1", "0", "99999999999999999999", "%00", "\x00", "ü",
     email("x")]
)  # fmt: skip
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS | WORDS
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3), max_leaves=8
)
NAMES = st.sampled_from(
    ["email", "role", "grant_type", "code", "refresh_token", "response_type", "scope", "expires_in", "user", "username",
     "external_id", "description", "redirect_uri", "invite_code", "state", "error", "limit", "before", "filter", "form",
     "form.data", "values", "key"]
)  # fmt: skip
SEGMENTS = (TEXTS | WORDS).filter(lambda text: text not in ("", ".", "..")).map(lambda text: quote(text, safe=""))
TEMPLATES = st.sampled_from(
    [
        ("GET", "/v1/user"), ("GET", "/v1/users"), ("DELETE", "/v1/users/fuzz-{0}"), ("POST", "/v1/users/{0}/roles"),
        ("DELETE", "/v1/users/{0}/roles/{1}"), ("GET", "/v1/grids/{0}/users"), ("POST", "/v1/grids/{0}/users"),
        ("POST", "/v1/grids/local/users"), ("DELETE", "/v1/grids/local/users/fuzz-{0}"), ("GET", "/v1/config"),
        ("GET", "/v1/config/{0}"), ("PATCH", "/v1/config"), ("PUT", "/v1/config"), ("DELETE", "/v1/config"),
        ("DELETE", "/v1/config/{0}"), ("GET", "/v1/audit_logs"), ("GET", "/v1/grids/local/audit_log"),
        ("POST", "/v1/auth"), ("GET", "/authenticate"), ("GET", "/oauth2/authenticate"), ("GET", "/cb"),
        ("GET", "/code"), ("POST", "/oauth2/token"), ("POST", "/oauth2/authorize"), ("GET", "/oauth2/tokens"),
        ("GET", "/oauth2/tokens/{0}"), ("DELETE", "/oauth2/tokens/fuzz-{0}"),
    ]
)  # fmt: skip
BODIES = (
    st.tuples(st.just("application/json"), st.dictionaries(NAMES | TEXTS, JSON, max_size=4))
    | st.tuples(st.just("application/x-www-form-urlencoded"), st.dictionaries(NAMES, TEXTS | WORDS, max_size=4))
    | st.tuples(st.sampled_from(["", "text/plain", "application/json"]), st.binary(max_size=60))
)
QUERIES = st.lists(st.tuples(NAMES, TEXTS | WORDS), max_size=4)


@pytest.fixture(scope="module")
def fuzzers(api: Api) -> Iterator[list[Api]]:
    """One of each extreme: an administrator, somebody without rights, nobody."""
    before = api.call("GET", "/v1/config")
    known = {user["email"] for user in api.call("GET", "/v1/users")["users"]}
    tokens = {token["id"] for token in api.call("GET", "/oauth2/tokens")["tokens"]}
    with people(api, {"fuzz-plain": ()}) as made:
        # With a provider there is more to go wrong; a PUT of the fuzzer may take it away again.
        api.call("PATCH", "/v1/config", PROVIDER)
        yield [api, made["fuzz-plain"], Api(api.url, "", api.grid)]
    CLIENT.close()
    for user in api.call("GET", "/v1/users")["users"]:
        if user["email"] not in known:
            api.request("DELETE", f"/v1/users/{user['email']}")
    for token in api.call("GET", "/oauth2/tokens")["tokens"]:
        if token["id"] not in tokens:
            api.request("DELETE", f"/oauth2/tokens/{token['id']}")
    api.call("PUT", "/v1/config", before)


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    caller=st.integers(0, 2),
    template=TEMPLATES,
    segments=st.tuples(SEGMENTS, SEGMENTS),
    query=QUERIES,
    body=st.none() | BODIES,
)
def test_no_request_fails(
    fuzzers: list[Api],
    caller: int,
    template: tuple[str, str],
    segments: tuple[str, str],
    query: list[tuple[str, str]],
    body: tuple[str, Any] | None,
) -> None:
    api = fuzzers[caller]
    method, path = template
    url = f"{api.url}{path.format(*segments)}?{urlencode(query)}"
    headers = {"Authorization": f"bearer {api.token}"} if api.token else {}
    content: bytes | None = None
    if body is not None:
        headers["Content-Type"], data = body
        content = data if isinstance(data, bytes) else _encode(headers["Content-Type"], data)
    answer = CLIENT.request(method, url, headers=headers, content=content)
    assert answer.status_code < 500 or answer.status_code in EXPLAINED, (method, url, content, answer.text)
    if answer.status_code >= 400:
        assert answer.json()["error"], answer.text


def _encode(content_type: str, data: dict[str, Any]) -> bytes:
    if content_type.startswith("application/x-www"):
        return urlencode(data).encode()
    return httpx.Request("POST", "http://x", json=data).content
