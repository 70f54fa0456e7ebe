"""Settings of auth_svc."""

import pytest
from pydantic import ValidationError

from services.auth_svc.settings import Settings

SECRET = "0123456789abcdef0123"


def _settings(**values: object) -> Settings:
    return Settings(**{"database_url": "postgresql://x/y", "cluster_secret": SECRET, **values})  # type: ignore[arg-type]


def test_the_digest_key_is_derived_and_has_a_setting_of_its_own() -> None:
    default = _settings().digest_key()
    own = _settings(token_digest_key="another-secret-01234").digest_key()
    assert len(default) == len(own) == 32
    assert default != own
    assert SECRET.encode() not in default
    assert default == _settings().digest_key()
    assert own == _settings(token_digest_key="another-secret-01234", cluster_secret="changed-secret-0123").digest_key()


def test_secrets_do_not_show() -> None:
    shown = repr(_settings(token_digest_key="another-secret-01234", initial_admin_code="initial-code"))
    assert SECRET not in shown
    assert "another" not in shown
    assert "initial-code" not in shown


def test_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://shared/x")
    monkeypatch.setenv("AUTH_DATABASE_URL", "postgresql://own/x")
    monkeypatch.setenv("CLUSTER_SECRET", SECRET)
    monkeypatch.setenv("INITIAL_ADMIN_CODE", "")
    monkeypatch.setenv("TOKEN_DIGEST_KEY", "")
    settings = Settings()  # type: ignore[call-arg]
    assert settings.database_url == "postgresql://own/x"
    assert settings.initial_admin_code is None
    assert settings.token_digest_key is None


def test_a_short_digest_key_is_refused() -> None:
    with pytest.raises(ValidationError, match="token_digest_key"):
        _settings(token_digest_key="short")


@pytest.mark.parametrize("name", ["VAULT_OLD_KEYS", "VAULT_KEY_PREVIOUS"])
def test_older_keys_have_the_names_that_vault_svc_knows(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "an-older-key-0123456")
    found = _settings().vault_old_keys
    assert found is not None
    assert found.get_secret_value() == "an-older-key-0123456"
    monkeypatch.delenv(name)
    assert _settings().vault_old_keys is None
