"""Settings of vault_svc. VAULT_IV of older installations is accepted and ignored: every write has its own nonces."""

from pydantic import AliasChoices, Field, SecretStr

from services.kernel.sealing import Keyring
from services.kernel.settings import ServiceSettings, own_or_shared
from services.vault_svc.domain.keys import keyring
from services.vault_svc.domain.quotas import VaultQuotas


class Settings(ServiceSettings, VaultQuotas):
    """What a key may be is said in domain/keys.py; without VAULT_KEY the vault answers 503."""

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
    acme_endpoint: str = Field(
        default="https://acme-v02.api.letsencrypt.org/directory", description="Directory URL of the authority."
    )
    acme_ca_file: str = Field(default="", description="PEM file to trust for the directory's TLS; empty: the system's.")
    acme_dns_resolver: str = Field(default="", description="host:port to look for TXT records; empty: the system's.")
    acme_timeout: float = Field(default=10.0, gt=0, description="Seconds for one request to the authority.")
    acme_issue_timeout: float = Field(
        default=25.0,
        gt=0,
        description="Seconds for one request of a caller. Below the gateway's, so that the caller is told what to do;"
        " the same request sent again goes on where this one ended.",
    )
    acme_eab_kid: str = Field(default="", description="Key id of an external account binding.")
    acme_eab_hmac_key: SecretStr = Field(default=SecretStr(""), description="Its HMAC key, base64url.")
    certificate_renewal_seconds: float = Field(default=3600.0, gt=0, description="How often renewals are looked for.")
    certificate_renewal_days: float = Field(
        default=7.0, gt=0, description="Renew with less than this, or than a third of the lifetime, left."
    )

    def keyring(self) -> Keyring | None:
        """What values are encrypted with; None without a key."""
        return keyring(self.vault_key.get_secret_value(), self.vault_old_keys.get_secret_value())
