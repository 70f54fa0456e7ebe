"""Configuration keys, filters and the encryption of secrets."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.auth_svc.convert.config import values_from_proto, values_to_proto
from services.auth_svc.domain import configuration, sealing
from services.kernel.errors import Unavailable, ValidationFailed

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)
RING = sealing.DERIVATION.keyring("a key of sixteen characters", ["an older key"])


@given(JSON)
def test_a_sealed_value_opens_under_its_key_only(value: Any) -> None:
    sealed = sealing.seal(RING, "a_secret", value)
    assert sealing.unseal(RING, "a_secret", sealed) == value
    assert sealed != sealing.seal(RING, "a_secret", value)
    with pytest.raises(Unavailable, match="b_secret"):
        sealing.unseal(RING, "b_secret", sealed)


def test_old_keys_open_and_unknown_ones_do_not() -> None:
    old = sealing.seal(sealing.DERIVATION.keyring("an older key", []), "x_secret", "value")
    assert sealing.unseal(RING, "x_secret", old) == "value"
    with pytest.raises(Unavailable) as refused:
        sealing.unseal(sealing.DERIVATION.keyring("another key", []), "x_secret", old)
    assert "value" not in refused.value.message.replace("The value of", "")
    for damaged in (b"", b"\x01", old[:-1], bytes([2]) + old[1:], old[:-1] + bytes([old[-1] ^ 1])):
        with pytest.raises(Unavailable):
            sealing.unseal(RING, "x_secret", damaged)
    assert "older" not in repr(RING)


@pytest.mark.parametrize(
    ("pattern", "key", "selected"),
    [
        ("", "a", True), ("*", "a", True), ("a*", "ab", True), ("a*", "ba", False), ("a", "ba", True),
        ("*a*", "ab", True), ("*a*", "ba", False), ("a.b", "axb", False), ("*a", "ba", True), ("[a]", "a", False),
    ],
)  # fmt: skip
def test_filters_are_literal(pattern: str, key: str, selected: bool) -> None:
    assert configuration.selects(pattern, key) is selected


@pytest.mark.parametrize(
    "values", [{"": 1}, {" ": 1}, {"a\nb": 1}, {"k" * 256: 1}, {"a": "\0"}, {"a": [{"\0": 1}]}, {"a": float("inf")}]
)
def test_what_cannot_be_stored_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationFailed):
        configuration.check(values)


def test_the_reserved_key_is_ignored() -> None:
    assert configuration.check({"server.salt": "x", "a": None}) == {"a": None}


def test_which_changes_end_logins() -> None:
    assert configuration.ends_logins({"oauth2.scope": 1})
    assert configuration.ends_logins({"server.root_url": 1})
    assert not configuration.ends_logins({"server.name": 1, "oauth2x": 1})


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=5), JSON, max_size=4))
def test_any_json_travels_unchanged(values: dict[str, Any]) -> None:
    assert values_from_proto(values_to_proto(values)) == values
