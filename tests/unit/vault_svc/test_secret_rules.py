from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.kernel.errors import ValidationFailed
from services.vault_svc.domain import secret
from services.vault_svc.domain.plaintext import Plaintext

LIMIT = 131_072


def _value(text: str | None) -> Plaintext | None:
    return None if text is None else Plaintext(text)


def _errors(name: str | None, value: str | None) -> Any:
    with pytest.raises(ValidationFailed) as caught:
        secret.check_new(name, _value(value), LIMIT)
    return caught.value.errors


@pytest.mark.parametrize("name", ["_", "a-", "9", "SECRET_PWD", "x" * 255])
def test_good_names(name: str) -> None:
    assert secret.check_new(name, Plaintext("v"), LIMIT) == (name, Plaintext("v"))
    assert secret.is_name(name)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (None, "Name is required"),
        ("", "Name can't be blank"),
        ("  \t", "Name can't be blank"),
        ("-x", "Name isn't in the right format"),
        ("a/b", "Name isn't in the right format"),
        ("a.b", "Name isn't in the right format"),
        ("a\nb", "Name isn't in the right format"),
        ("ä", "Name isn't in the right format"),
        ("x\0y", "Name isn't in the right format"),
        ("x" * 256, "Name is too long"),
    ],
)
def test_bad_names(name: str | None, message: str) -> None:
    assert _errors(name, "v") == {"name": message}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "Value is required"),
        ("", "Value can't be blank"),
        (" \r\n\t\u00a0", "Value can't be blank"),
        ("a\0b", "Value is invalid"),
        ("\0", "Value is invalid"),
        ("x" * 131_073, "Value is too long"),
        ("é" * 65_537, "Value is too long"),
    ],
)
def test_bad_values(value: str | None, message: str) -> None:
    assert _errors("NAME", value) == {"value": message}


def test_all_problems_at_once() -> None:
    assert _errors(None, None) == {"name": "Name is required", "value": "Value is required"}


def test_names_are_stripped_on_create() -> None:
    assert secret.check_new(" NAME\n", Plaintext("v"), LIMIT)[0] == "NAME"


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=200))
def test_a_good_value_is_never_changed(text: str) -> None:
    if text.strip():
        assert secret.check_update("N", None, Plaintext(text), LIMIT).reveal() == text


def test_the_longest_value_fits() -> None:
    assert len(secret.check_update("N", "N", Plaintext("é" * 65_536), LIMIT)) == LIMIT


@pytest.mark.parametrize("check", [secret.check_update, secret.check_upsert])
@pytest.mark.parametrize("body_name", ["OTHER", "", "name"])
def test_the_body_may_not_name_another_secret(check: Any, body_name: str) -> None:
    with pytest.raises(ValidationFailed) as caught:
        check("NAME", body_name, Plaintext("v"), LIMIT)
    assert caught.value.errors == {"name": "Name does not match the secret in the path"}


@pytest.mark.parametrize("name", ["-x", "a.b", " a", "a%2Fb", "a/b"])
def test_an_upsert_takes_the_name_of_the_path_as_it_is(name: str) -> None:
    with pytest.raises(ValidationFailed) as caught:
        secret.check_upsert(name, None, Plaintext("v"), LIMIT)
    assert caught.value.errors == {"name": "Name isn't in the right format"}


def test_no_error_repeats_a_value() -> None:
    for value in ("hunter2\0", "hunter2" * 20_000):
        assert "hunter2" not in str(_errors("a.b", value))
