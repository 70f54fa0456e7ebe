"""Settings of auth_svc, and what is made of them: the keys, and the configuration of a new installation."""

import uuid
from typing import ClassVar

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from services.auth_svc.domain.configuration import ROOT_URL, SERVER_NAME, Json
from services.auth_svc.domain.quotas import AuthQuotas
from services.auth_svc.domain.sealing import DERIVATION
from services.kernel.sealing import Derivation
from services.kernel.settings import SealingSettings, own_or_shared

# Settings that become configuration keys under `oauth2.` as they are.
_PROVIDER_TEXTS = {
    "client_id": "auth_client_id",
    "authorize_endpoint": "auth_authorize_endpoint",
    "token_endpoint": "auth_token_endpoint",
    "userinfo_endpoint": "auth_userinfo_endpoint",
    "token_method": "auth_token_method",
    "token_post_content_type": "auth_token_post_content_type",
    "userinfo_scope": "auth_userinfo_scope",
    "userinfo_username_jsonpath": "auth_userinfo_username_jsonpath",
    "userinfo_email_jsonpath": "auth_userinfo_email_jsonpath",
    "userinfo_email_verified_jsonpath": "auth_userinfo_email_verified_jsonpath",
    "userinfo_user_id_jsonpath": "auth_userinfo_user_id_jsonpath",
    "match_email": "auth_match_email",
}
_PURPOSE = b"kontena auth token digest v1"


class Settings(SealingSettings, AuthQuotas):
    """Read from the environment. An empty variable counts as unset."""

    model_config = SettingsConfigDict(env_ignore_empty=True)

    derivation: ClassVar[Derivation] = DERIVATION

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
    audit_retention_days: int = Field(
        default=0, ge=0, le=36500, description="Days that audit entries are kept; 0 is for ever."
    )
    invitation_hours: int = Field(
        default=72, ge=1, le=8760, description="Hours in which an invitation can be accepted."
    )

    # The rest is the configuration of a new installation: each start sets the keys that are not set (README.md).
    kontena_master_url: str = ""
    server_name: str = ""
    auth_client_id: str = ""
    auth_client_secret: SecretStr | None = None
    auth_authorize_endpoint: str = ""
    auth_token_endpoint: str = ""
    auth_userinfo_endpoint: str = ""
    auth_token_method: str = ""
    auth_token_post_content_type: str = ""
    auth_code_requires_basic_auth: str = ""
    userinfo_requires_basic_auth: str = ""
    auth_userinfo_scope: str = ""
    auth_userinfo_username_jsonpath: str = ""
    auth_userinfo_email_jsonpath: str = ""
    auth_userinfo_email_verified_jsonpath: str = ""
    auth_userinfo_user_id_jsonpath: str = ""
    auth_match_email: str = ""
    auth_ignore_invalid_ssl: str = ""
    cloud_socket_uri: str = "wss://socket.kontena.io"

    def digest_key(self) -> bytes:
        """32 bytes derived (RFC 5869) from TOKEN_DIGEST_KEY or CLUSTER_SECRET; never the secret itself."""
        secret = self.token_digest_key or self.cluster_secret
        return HKDF(algorithm=SHA256(), length=32, salt=None, info=_PURPOSE).derive(secret.get_secret_value().encode())

    def seeds(self) -> dict[str, Json]:
        """The configuration of a new installation (docs/spec/auth_grid.md section 4)."""
        texts = {
            ROOT_URL: self.kontena_master_url,
            SERVER_NAME: self.server_name,
            "cloud.socket_uri": self.cloud_socket_uri,
            "oauth2.client_secret": self.auth_client_secret.get_secret_value() if self.auth_client_secret else "",
            **{f"oauth2.{key}": str(getattr(self, name)) for key, name in _PROVIDER_TEXTS.items()},
        }
        return {
            "server.uuid": str(uuid.uuid4()),
            "server.telemetry_enabled": "true",
            "cloud.enabled": "true",
            "oauth2.code_requires_basic_auth": self.auth_code_requires_basic_auth == "true",
            "oauth2.userinfo_requires_basic_auth": self.userinfo_requires_basic_auth == "true",
            "oauth2.ignore_invalid_ssl": self.auth_ignore_invalid_ssl == "true",
            **{key: text for key, text in texts.items() if text},
        }
