"""Settings of vault_svc. VAULT_IV of older installations is accepted and ignored: every write has its own nonces."""

from pydantic import AliasChoices, Field, SecretStr
from pydantic_settings import SettingsConfigDict

from services.kernel.settings import ServiceSettings, own_or_shared


class VaultSettings(ServiceSettings):
    """What a key may be is said in domain/keys.py; without VAULT_KEY the vault answers 503."""

    # A key that is refused must not be shown in the message about it.
    model_config = SettingsConfigDict(extra="ignore", populate_by_name=True, hide_input_in_errors=True)

    database_url: str = Field(validation_alias=own_or_shared("VAULT_DATABASE_URL"))
    listen_address: str = "127.0.0.1:7404"
    vault_key: SecretStr = Field(default=SecretStr(""), description="The key that encrypts. All replicas share it.")
    vault_old_keys: SecretStr = Field(
        default=SecretStr(""),
        validation_alias=AliasChoices("VAULT_OLD_KEYS", "VAULT_KEY_PREVIOUS"),
        description="Comma separated keys that only decrypt, during a rotation.",
    )
    secret_value_limit: int = Field(default=131_072, ge=1, description="Most bytes of UTF-8 in one value.")
    grid_purge_seconds: float = Field(
        default=900.0, gt=0, description="How long a grid must be gone before its secrets are removed."
    )
