import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from services.vault_svc.domain.keys import derive, keyring
from services.vault_svc.settings import Settings

BASE64 = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="


def test_a_key_is_the_same_on_every_machine() -> None:
    # A changed derivation would make every stored value unreadable.
    assert derive("0123456789abcdef").id == "65437f31abc5775d"


@given(st.text(st.characters(exclude_categories=["Cs", "Z", "Cc"], exclude_characters=","), min_size=16))
def test_any_text_of_enough_length_is_a_key(text: str) -> None:
    assert derive(text).id == derive(f" {text}\n").id
    assert len(derive(text).id) == 16


def test_the_encoding_of_a_key_is_part_of_it() -> None:
    assert derive(BASE64).id != derive("0123456789abcdef0123456789abcdef").id


@pytest.mark.parametrize("text", ["short", " " * 20 + "x", "fifteen chars.."])
def test_a_short_key_is_refused_without_showing_it(text: str) -> None:
    with pytest.raises(ValueError, match="VAULT_KEY: a key needs at least 16 characters") as caught:
        derive(text)
    assert text.strip() not in str(caught.value).split(":")[0]


def test_a_comma_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot contain a comma"):
        derive("0123456789abcdef,0123456789abcdef")


@pytest.mark.parametrize("text", ["", "  \n"])
def test_without_a_current_key_there_is_no_vault(text: str) -> None:
    assert keyring(text, "0123456789abcdef") is None


def test_old_keys_only_decrypt() -> None:
    ring = keyring("the current key 16", "an older key 16ch, the oldest key 16c,")
    assert ring is not None
    assert ring.current.id == derive("the current key 16").id
    assert set(ring.by_id) == {derive(t).id for t in ("the current key 16", "an older key 16ch", "the oldest key 16c")}


def test_a_bad_old_key_is_named() -> None:
    with pytest.raises(ValueError, match="VAULT_OLD_KEYS"):
        keyring("the current key 16", "short")


def test_settings_read_the_environment_and_hide_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "DATABASE_URL": "postgresql://shared/db",
        "VAULT_DATABASE_URL": "postgresql://own/db",
        "CLUSTER_SECRET": "0123456789abcdef",
        "VAULT_KEY": "the current key 16",
        "VAULT_OLD_KEYS": "an older key 16ch",
        "VAULT_IV": "ignored",
    }.items():
        monkeypatch.setenv(name, value)
    settings = Settings()  # type: ignore[call-arg]
    assert settings.database_url == "postgresql://own/db"
    assert settings.vault_old_keys.get_secret_value() == "an older key 16ch"
    assert "key 16" not in repr(settings)
    monkeypatch.setenv("CLUSTER_SECRET", "hunter2")
    with pytest.raises(ValidationError) as caught:
        Settings()  # type: ignore[call-arg]
    assert "hunter2" not in str(caught.value)
    assert "cluster_secret" in str(caught.value).lower()
