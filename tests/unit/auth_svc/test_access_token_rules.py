"""Tokens follow one another, and nothing about them shows their values."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from services.auth_svc.convert.access_tokens import token_to_proto
from services.auth_svc.domain import access_token as rules
from services.auth_svc.domain.access_token import Owner, Values
from services.auth_svc.domain.digest import digest, digests

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
OWNER = Owner("a" * 24, "admin")


def test_a_token_without_lifetime_never_expires() -> None:
    assert rules.expiry(NOW, None) is None
    assert rules.expiry(NOW, 60) == NOW + timedelta(seconds=60)


def test_a_successor_keeps_family_owner_scopes_and_description() -> None:
    code = rules.first("authorization_code", "1" * 24, OWNER, ("user",), expires_at=NOW, description="laptop")
    token = rules.successor(code, "2" * 24, code.expires_at)
    assert (token.kind, token.family_id, token.expires_at) == ("bearer", code.id, NOW)
    assert (token.owner, token.scopes, token.description) == (OWNER, ("user",), "laptop")


def test_an_issued_token_shows_the_ends_of_its_values_and_the_seconds_left() -> None:
    token = rules.first("bearer", "1" * 24, OWNER, ("user",), expires_at=NOW + timedelta(seconds=59.5))
    issued = rules.issue(token, Values(access="0123456789", refresh="abcdefgh"), NOW)
    assert (issued.token.access_last_four, issued.token.refresh_last_four) == ("6789", "efgh")
    assert issued.token.expires_in == 59
    assert "0123456789" not in repr(issued)
    assert "abcdefgh" not in repr(issued)


def test_expired_tokens_count_below_zero() -> None:
    token = rules.first("bearer", "1" * 24, OWNER, ("user",), expires_at=NOW - timedelta(seconds=1.5))
    assert rules.issue(token, Values(access="x"), NOW).token.expires_in == -2


def test_bearer_and_code_forms_have_their_own_members() -> None:
    bearer = rules.first("bearer", "1" * 24, OWNER, ("user", "owner"), expires_at=None)
    code = rules.first("authorization_code", "2" * 24, OWNER, ("user",), expires_at=NOW)
    shown = {field.name for field, _ in token_to_proto(bearer, "m1", Values(access="v")).ListFields()}
    assert shown == {"id", "token_type", "access_token", "scopes", "user", "server"}
    shown = {field.name for field, _ in token_to_proto(code, "", Values(code="c")).ListFields()}
    assert shown == {"id", "grant_type", "code", "scopes", "user", "server"}


@given(st.text(), st.binary(min_size=32, max_size=32))
def test_any_text_has_a_stable_keyed_digest(value: str, key: bytes) -> None:
    assert digest(key, value) == digest(key, value)
    assert digest(key, value) != digest(key[::-1] + b"x", value)
    assert len(digest(key, value)) == 32


def test_only_values_that_exist_have_a_digest() -> None:
    made = digests(b"k" * 32, Values(access="a"))
    assert made.access is not None
    assert (made.refresh, made.code) == (None, None)
