"""Providers, redirects and user documents: decided without a network."""

import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.auth_svc.clients.provider import token_request
from services.auth_svc.clients.userinfo import user_of
from services.auth_svc.convert import code_page
from services.auth_svc.domain import login, pkce
from services.auth_svc.domain.audit_page import Page, entry_id, page
from services.auth_svc.domain.provider import invitation_link, login_url, provider_of
from services.kernel.errors import InvalidRequest, OAuthError

# The example of RFC 7636, appendix B.
RFC_VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
RFC_CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
CONFIG: dict[str, Any] = {
    "oauth2.client_id": "id",
    "oauth2.client_secret": "secret",
    "oauth2.authorize_endpoint": "https://p.example.com/authorize?old=1#x",
    "oauth2.token_endpoint": "https://p.example.com/token",
    "oauth2.userinfo_endpoint": "https://p.example.com/user",
    "server.root_url": "https://h:1",
}


@pytest.mark.parametrize("key", list(CONFIG))
@pytest.mark.parametrize("value", [None, "", "  ", 7, ["x"], "x" * 3000])
def test_a_provider_needs_every_key(key: str, value: Any) -> None:
    assert provider_of(CONFIG) is not None
    assert provider_of({**CONFIG, key: value}) is None


@pytest.mark.parametrize(
    "address", ["ftp://x/", "x", "http://", "http://[", "http://x:99999/", "http://x y/", "http://ü/"]
)
@pytest.mark.parametrize("key", [key for key in CONFIG if key.endswith(("_endpoint", "_url"))])
def test_an_endpoint_is_an_address(key: str, address: str) -> None:
    assert provider_of({**CONFIG, key: address}) is None


@pytest.mark.parametrize(
    ("root", "callback"),
    [
        ("https://h:1", "https://h:1/cb"), ("https://h/a/", "https://h/a/cb"), ("https://h/a", "https://h/cb"),
        ("http://h/?x=1#y", "http://h/cb"),
    ],
)  # fmt: skip
def test_the_callback_is_relative_to_the_root(root: str, callback: str) -> None:
    provider = provider_of({**CONFIG, "server.root_url": root})
    assert provider is not None
    assert provider.callback == callback
    assert "secret'" not in repr(provider)


def test_the_login_url_has_a_new_query() -> None:
    provider = provider_of(CONFIG)
    assert provider is not None
    parts = urlsplit(login_url(provider, "s", RFC_VERIFIER))
    assert (parts.path, parts.fragment) == ("/authorize", "")
    assert parse_qs(parts.query) == {
        "response_type": ["code"],
        "client_id": ["id"],
        "scope": ["user:email"],
        "state": ["s"],
        "redirect_uri": ["https://h:1/cb"],
        "code_challenge": [RFC_CHALLENGE],
        "code_challenge_method": ["S256"],
    }
    assert invitation_link(provider, "c") == "https://h:1/j/c"


@pytest.mark.parametrize(
    ("value", "used"), [(None, True), (True, True), ("x", True), (False, False), ("False ", False)]
)
def test_a_provider_that_stumbles_over_pkce_is_spared_it(value: Any, used: bool) -> None:
    provider = provider_of({**CONFIG, "oauth2.pkce": value})
    assert provider is not None
    assert ("code_challenge" in login_url(provider, "s", RFC_VERIFIER)) is used
    assert (b"code_verifier" in token_request(provider, "c", RFC_VERIFIER).read()) is used


def test_a_code_verifier_belongs_to_a_state_and_a_key() -> None:
    made = {pkce.verifier(key, state) for key in (b"k" * 32, b"l" * 32) for state in ("s", "t")}
    assert len(made) == 4
    # RFC 7636 section 4.1.
    assert all(re.fullmatch("[A-Za-z0-9_-]{43}", text) for text in made)


@pytest.mark.parametrize("flag", ["oauth2.ignore_invalid_ssl", "cloud.ignore_invalid_ssl"])
@pytest.mark.parametrize(
    ("value", "verify"), [(True, False), ("true", False), ("false", True), (1, True), (None, True)]
)
def test_certificates_are_checked_unless_told_otherwise(flag: str, value: Any, verify: bool) -> None:
    provider = provider_of({**CONFIG, flag: value})
    assert provider is not None
    assert provider.verify_tls is verify


@pytest.mark.parametrize(
    "uri", ["http://localhost/", "https://LOCALHOST:1/a?b#c", "HTTP://localhost/x", " http://localhost "]
)
def test_localhost_is_a_good_end(uri: str) -> None:
    assert login.valid_redirect_uri(uri) == uri.strip()


@pytest.mark.parametrize("uri", ["/code", "/code?x=1", "/code#x"])
def test_the_code_page_is_a_good_end(uri: str) -> None:
    assert login.valid_redirect_uri(uri) == "/code"


@pytest.mark.parametrize(
    "uri",
    [
        "http://127.0.0.1/", "http://localhost.evil.org/", "http://evil.org/localhost", "http://localhost@evil.org/",
        "//localhost/", "/code/", "/codex", "code", "x:/code", "//evil.org/code", "http://evil.org\\@localhost/",
        "http://localhost:99999/", "http://localhost/\r\nx", "http://[", "http:///localhost", "x" * 3000,
        "javascript://localhost/%0aalert(1)", "file://localhost/etc/passwd", "data://localhost/,x", "app://localhost",
        "view-source://localhost", "ws://localhost/", "httpx://localhost/", "javascript:localhost", "blob:http://localhost/",
    ],
)  # fmt: skip
def test_other_ends_are_refused(uri: str) -> None:
    with pytest.raises(OAuthError, match="Invalid redirect_uri"):
        login.valid_redirect_uri(uri)


@given(st.text())
def test_any_redirect_uri_is_fine_or_refused_and_the_result_is_a_header(uri: str) -> None:
    try:
        checked = login.valid_redirect_uri(uri)
    except OAuthError:
        return
    assert login.destination(checked, "c0de", "näme\n").isascii()
    assert login.destination(checked, "c0de", "näme\n").isprintable()


def test_where_a_login_ends() -> None:
    assert login.destination("http://localhost:1/cb?old=1#f", "c", None) == "http://localhost:1/cb?code=c"
    assert login.destination("/code", "c", "my server") == "/code#code=c&server_name=my+server"


@pytest.mark.parametrize(
    ("text", "seconds"), [("", None), ("0", None), ("-5", None), ("x", None), ("7200", 7200), ("9" * 20, None)]
)
def test_lifetimes(text: str, seconds: int | None) -> None:
    assert login.lifetime(text) == seconds


@pytest.mark.parametrize(
    ("document", "user_id", "email", "name"),
    [
        ({"id": 5, "login": "l", "email": "e@x"}, "5", "e@x", "l"),
        ({"user": {"uid": "u", "username": "n", "emails": ["a@x", "b@x"]}}, "u", "a@x", "n"),
        ({"sub": "s", "primary_email": "p@x"}, "s", "p@x", None),
        ({"user_id": "s", "emails": [], "primary_email": "p@x"}, "s", "p@x", None),
        ({"id": None, "email": {"x": 1}, "username": ["n", "m"]}, None, None, "n"),
        ([{"email": "first@x", "id": 1}, {"email": "second@x"}], "1", "first@x", None),
        ("text", None, None, None),
        (None, None, None, None),
    ],
)
def test_facts_are_found_by_jsonpath(document: Any, user_id: str | None, email: str | None, name: str | None) -> None:
    provider = provider_of(CONFIG)
    assert provider is not None
    user = user_of(document, provider.paths)
    assert (user.id, user.email, user.name, user.email_verified) == (user_id, email, name, False)


@pytest.mark.parametrize(
    ("value", "verified"),
    [(True, True), ("true", True), (False, False), ("false", False), (None, False), (1, False), ("yes", False)],
)
def test_an_email_is_verified_when_the_provider_says_so(value: Any, verified: bool) -> None:
    provider = provider_of({**CONFIG, "oauth2.userinfo_email_verified_jsonpath": "$.deep.ok"})
    assert provider is not None
    assert user_of({"deep": {"ok": value}}, provider.paths).email_verified is verified


@pytest.mark.parametrize("path", ["$..[?(", "nope(", "$['a'"])
def test_a_wrong_jsonpath_is_a_value_error(path: str) -> None:
    provider = provider_of({**CONFIG, "oauth2.userinfo_email_jsonpath": path})
    assert provider is not None
    with pytest.raises(ValueError, match="JSONPath"):
        user_of({"a": 1}, provider.paths)


def test_the_policy_of_the_code_page_allows_its_own_script_only() -> None:
    policy = code_page.HEADERS["content-security-policy"]
    assert "unsafe" not in policy
    assert code_page.PAGE.count(b"<script>") == 1


@pytest.mark.parametrize(
    ("limit", "meant"),
    [
        ("", 500),
        ("0", 500),
        ("1", 1),
        ("3000", 3000),
        ("3001", 500),
        ("-1", 500),
        ("x", 500),
        ("²", 500),
        ("9" * 9999, 500),
    ],
)
def test_limits_of_the_audit_log(limit: str, meant: int) -> None:
    assert page(limit, "") == Page(meant)


def test_ids_of_audit_entries_go_both_ways() -> None:
    assert page("", entry_id(77)).before == 77
    for wrong in ("x", "f" * 24, "7"):
        with pytest.raises(InvalidRequest):
            page("", wrong)
