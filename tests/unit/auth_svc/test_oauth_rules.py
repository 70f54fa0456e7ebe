"""Grants, response types, scopes and lifetimes."""

import pytest

from services.auth_svc.convert.oauth import answers_json
from services.auth_svc.domain import authorization
from services.auth_svc.domain.grant import CodeGrant, RefreshGrant, grant_of
from services.auth_svc.domain.parameters import Parameters
from services.kernel.errors import OAuthError


def test_grants_are_read() -> None:
    assert grant_of(Parameters({"grant_type": "authorization_code", "code": " abc "})) == CodeGrant("abc")
    assert grant_of(Parameters({"grant_type": "refresh_token", "refresh_token": "r"})) == RefreshGrant("r")


@pytest.mark.parametrize(
    ("values", "error", "description"),
    [
        ({}, "unsupported_grant_type", "grant_type"),
        ({"grant_type": "password"}, "unsupported_grant_type", "grant_type"),
        ({"grant_type": "authorization_code"}, "invalid_request", "authorization_code"),
        ({"grant_type": "authorization_code", "code": " "}, "invalid_request", "authorization_code"),
        ({"grant_type": "refresh_token", "refresh_token": None}, "invalid_request", "refresh_token"),
    ],
)
def test_incomplete_grants_are_refused(values: dict[str, object], error: str, description: str) -> None:
    with pytest.raises(OAuthError) as refused:
        grant_of(Parameters(values))
    assert refused.value.body() == {"error": error, "error_description": description}
    assert refused.value.http_status == 400


def test_grants_do_not_show_their_values() -> None:
    assert "abc" not in repr(CodeGrant("abc")) + repr(RefreshGrant("abc"))


@pytest.mark.parametrize(
    ("given", "meant"), [("token", "token"), ("access_token", "token"), ("code", "code"), ("invite", "invite")]
)
def test_response_types(given: str, meant: str) -> None:
    assert authorization.response_type(Parameters({"response_type": given})) == meant


@pytest.mark.parametrize("given", [None, "", "tokens", "Code"])
def test_other_response_types_are_unsupported(given: str | None) -> None:
    with pytest.raises(OAuthError) as refused:
        authorization.response_type(Parameters({"response_type": given}))
    assert refused.value.body() == {
        "error": "unsupported_response_type",
        "error_description": "Unsupported response type. Supported: code, token, invite",
    }


def test_only_the_alias_has_a_default_scope() -> None:
    assert authorization.requested_scope(Parameters({"response_type": "access_token"})) == "user"
    for kind in ("token", "code"):
        with pytest.raises(OAuthError) as refused:
            authorization.requested_scope(Parameters({"response_type": kind}))
        assert refused.value.error == "invalid_scope"


@pytest.mark.parametrize(
    ("text", "scopes"), [("user", ("user",)), (" user , owner ", ("user", "owner")), ("owner,owner", ("owner",))]
)
def test_scopes(text: str, scopes: tuple[str, ...]) -> None:
    assert authorization.parse_scopes(text) == scopes


@pytest.mark.parametrize("text", ["user owner", "admin", "user,", ",", "User"])
def test_wrong_scopes_are_refused(text: str) -> None:
    with pytest.raises(OAuthError, match="scope: invalid"):
        authorization.parse_scopes(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [(None, None), ("0", None), ("-5", None), ("7200", 7200), (" 60 ", 60), ("2147483647", 2**31 - 1)],
)
def test_lifetimes(text: str | None, seconds: int | None) -> None:
    assert authorization.parse_lifetime(text) == seconds


@pytest.mark.parametrize("text", ["1.5", "true", "12x", "", "2147483648", "9" * 5000, "\u0663"])
def test_wrong_lifetimes_are_refused(text: str) -> None:
    with pytest.raises(OAuthError) as refused:
        authorization.parse_lifetime(text)
    assert (refused.value.http_status, refused.value.error) == (400, "invalid_request")


@pytest.mark.parametrize(
    ("content_type", "accept", "json"),
    [
        ("application/json", "text/html", True),
        ("application/x-www-form-urlencoded", "", True),
        ("application/x-www-form-urlencoded", "*/*", True),
        ("application/x-www-form-urlencoded", "text/html, application/json;q=0.9", True),
        ("application/x-www-form-urlencoded", "application/x-www-form-urlencoded", False),
        ("", "text/plain", False),
    ],
)
def test_clients_that_know_no_json_get_a_form(content_type: str, accept: str, json: bool) -> None:
    assert answers_json(content_type, accept) is json
