"""Bodies of OAuth2 requests."""

import json
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.auth_svc.domain import authorization, grant, parameters
from services.kernel.errors import DomainError, OAuthError

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
TYPES = st.sampled_from([JSON, FORM, "", "application/json; charset=utf-8", "text/plain", "application/x+json"])


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (JSON, b'{"grant_type":"refresh_token"}'),
        ("Application/JSON; charset=utf-8", b'{"grant_type":"refresh_token"}'),
        ("application/vnd.api+json", b'{"grant_type":"refresh_token"}'),
        ("", b' {"grant_type":"refresh_token"}'),
        (FORM, b'{"grant_type":"refresh_token"}'),
        (FORM, b"grant_type=refresh_token&state="),
        ("", b"grant_type=refresh%5Ftoken"),
        ("multipart/form-data", b"grant_type=refresh_token"),
    ],
)
def test_json_forms_and_unlabelled_bodies_are_read(content_type: str, body: bytes) -> None:
    assert parameters.parse(content_type, body).text("grant_type") == "refresh_token"


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (JSON, b""),
        (JSON, b"{}"),
        (JSON, b"[]"),
        (JSON, b'"text"'),
        (JSON, b"null"),
        (JSON, b"{"),
        (JSON, b'{"code":NaN}'),
        (JSON, b'{"code":"\\ud800"}'),
        (JSON, b'{"code":' + b"9" * 5000 + b"}"),
        (JSON, b"[" * 100_000),
        (JSON, b"\xff"),
        (FORM, b""),
        (FORM, b"%ff=%ff"),
        (FORM, b"code=1&code=2"),
        (FORM, b"&".join(b"a%d=1" % n for n in range(101))),
    ],
)
def test_what_cannot_be_read_is_an_invalid_request(content_type: str, body: bytes) -> None:
    with pytest.raises(OAuthError) as refused:
        parameters.parse(content_type, body)
    assert (refused.value.http_status, refused.value.error) == (400, "invalid_request")


def test_scalars_are_text_and_blank_values_are_missing() -> None:
    body = json.dumps({"a": 7200, "b": True, "c": "  ", "d": None, "e": 1.5, "f": "x", "g": False}).encode()
    given_values = parameters.parse(JSON, body)
    assert [given_values.text(name) for name in "abcdefgh"] == ["7200", "true", None, None, "1.5", "x", "false", None]


def test_a_list_is_refused_where_it_is_used_and_ignored_elsewhere() -> None:
    given_values = parameters.parse(JSON, b'{"code":["x"],"other":[1]}')
    with pytest.raises(OAuthError, match="code: must be text"):
        given_values.text("code")
    assert given_values.text("grant_type") is None


@given(TYPES, st.binary(max_size=200))
def test_no_bytes_raise_anything_but_domain_errors(content_type: str, body: bytes) -> None:
    _use(content_type, body)


_NAMES = st.sampled_from(
    ["grant_type", "code", "refresh_token", "response_type", "scope", "expires_in", "user", "description", "state"]
)
_SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
_VALUES = st.recursive(_SCALARS, lambda inner: st.lists(inner, max_size=2), max_leaves=4) | st.sampled_from(
    ["authorization_code", "refresh_token", "token", "code", "access_token", "user,owner"]
)


@given(TYPES, st.dictionaries(_NAMES, _VALUES))
def test_no_json_raises_anything_but_domain_errors(content_type: str, values: dict[str, object]) -> None:
    _use(content_type, json.dumps(values).encode())


@given(TYPES, st.dictionaries(_NAMES, st.text(st.characters(exclude_categories=["Cs"]), max_size=20)))
def test_no_form_raises_anything_but_domain_errors(content_type: str, values: dict[str, str]) -> None:
    _use(content_type, urlencode(values).encode())


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), st.text(max_size=20), max_size=9))
def test_json_and_form_of_the_same_values_mean_the_same(values: dict[str, str]) -> None:
    values = {name: text.encode("utf-8", "replace").decode() for name, text in values.items()}
    if not values:
        return
    as_json = parameters.parse(JSON, json.dumps(values).encode())
    as_form = parameters.parse(FORM, urlencode(values).encode())
    assert {n: as_json.text(n) for n in values} == {n: as_form.text(n) for n in values}


def _use(content_type: str, body: bytes) -> None:
    """Everything the use cases do with parameters before they touch the database."""
    try:
        given_values = parameters.parse(content_type, body)
    except DomainError:
        return
    for rule in (
        lambda: grant.grant_of(given_values),
        lambda: authorization.response_type(given_values),
        lambda: authorization.parse_scopes(authorization.requested_scope(given_values)),
        lambda: authorization.parse_lifetime(given_values.text("expires_in")),
        lambda: authorization.parse_description(given_values.text("description")),
    ):
        try:
            rule()
        except DomainError:
            continue
