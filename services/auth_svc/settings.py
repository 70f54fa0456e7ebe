"""Settings of auth_svc, and the key that token digests are made with."""

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from services.kernel.settings import ServiceSettings, own_or_shared

_PURPOSE = b"kontena auth token digest v1"


class Settings(ServiceSettings):
    """Read from the environment. An empty variable counts as unset."""

    model_config = SettingsConfigDict(env_ignore_empty=True)

    database_url: str = Field(validation_alias=own_or_shared("AUTH_DATABASE_URL"))
    listen_address: str = "127.0.0.1:7401"
    token_digest_key: SecretStr | None = Field(
        default=None,
        min_length=16,
        description="Keys the digests of tokens and codes. Without it CLUSTER_SECRET does, and changing that one then "
        "invalidates every token.",
    )
    initial_admin_code: SecretStr | None = Field(
        default=None, description="Authorization code of the first login; used once in the life of the installation."
    )
    server_name: str = Field(default="", description="What clients call this installation.")

    def digest_key(self) -> bytes:
        """32 bytes derived (RFC 5869) from TOKEN_DIGEST_KEY or CLUSTER_SECRET; never the secret itself."""
        secret = self.token_digest_key or self.cluster_secret
        return HKDF(algorithm=SHA256(), length=32, salt=None, info=_PURPOSE).derive(secret.get_secret_value().encode())
