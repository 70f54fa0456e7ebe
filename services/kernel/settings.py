"""Settings every service has. Values come from the environment; a wrong one ends the process at start with its name."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import AfterValidator, AliasChoices, BeforeValidator, Field, SecretStr, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from services.kernel import postgres
from services.kernel.addresses import parse
from services.kernel.answers import DEFAULT_BYTES
from services.kernel.cluster_token import ClusterTokens
from services.kernel.failed_tokens import EXEMPT, PER_MINUTE
from services.kernel.identity import Callee, Identity
from services.kernel.sealing import Derivation, Keyring


def _addresses(text: str) -> str:
    parse(text)
    return text


def _words(given: object) -> object:
    return [word.strip() for word in given.split(",") if word.strip()] if isinstance(given, str) else given


Addresses = Annotated[str, AfterValidator(_addresses)]
WHO_READS_METRICS = (
    "Bearer token that Prometheus must show, 16 characters at least; without it metrics are for everybody."
)
MetricsToken = Annotated[
    Annotated[SecretStr, Field(min_length=16)] | None, BeforeValidator(lambda given: given or None)
]

STREAMS_PER_USER = 200

_ALL_OF = "host:port of {}; of several replicas all, or a name with all their addresses."
_POSTGRES = ("postgresql://", "postgres://")


class PartSettings(BaseSettings):
    """Of every part of the suite that others call over gRPC or HTTP."""

    mtls_folder: str = Field(
        default="", description="Folder with tls.crt, tls.key and ca.crt for TLS between the parts; empty: plain text."
    )
    health_address: str = Field(
        default="",
        description="host:port that answers health checks in plain text, and nothing else; empty means none.",
    )

    def identity(self) -> Identity | None:
        """Who this process is for the others; None without TLS. Raises ValueError."""
        return Identity(Path(self.mtls_folder)) if self.mtls_folder else None

    def callee(self, name: str) -> Callee | None:
        """The part of this name, as this process calls it; None without TLS."""
        identity = self.identity()
        return None if identity is None else Callee(name, identity)


class ServiceSettings(PartSettings):
    """Base of each service's settings. Secret values never appear in `repr`, logs or start errors."""

    model_config = SettingsConfigDict(extra="ignore", populate_by_name=True, hide_input_in_errors=True)

    database_url: str = Field(
        description="postgresql://user:password@host:port/database; several hosts: host:port,host:port"
    )
    database_pool_size: int = Field(
        default=10, ge=1, le=100, description="Connections to the database of each replica; it listens on one more."
    )
    cluster_secret: SecretStr = Field(min_length=16, description="Shared by all services; signs their tokens.")
    separate_token_keys: bool = Field(
        default=False,
        description="Sign tokens of services and of nodes with different keys; on once no replica is older than that.",
    )
    listen_address: str = Field(description="host:port of the gRPC server.")
    metrics_address: str = Field(default="", description="host:port of the Prometheus endpoint; empty means none.")
    metrics_token: MetricsToken = Field(default=None, description=WHO_READS_METRICS)
    log_level: str = Field(default="info", description="debug, info, warning or error.")
    traces_collector: str = Field(
        default="", description="Where traces go, http://HOST:PORT of OTLP over gRPC; empty means nowhere."
    )
    streams_per_user: int = Field(
        default=STREAMS_PER_USER, ge=1, description="Logs, events and exec that one user may follow at each replica."
    )
    failed_tokens_per_minute: int = Field(
        default=PER_MINUTE, ge=0, description="Invalid tokens that an address may show at each replica; 0: any number."
    )
    failed_tokens_exempt: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_words)] = Field(
        default=tuple(sorted(EXEMPT)), description="Addresses without that limit."
    )
    large_answer_bytes: int = Field(
        default=DEFAULT_BYTES,
        ge=1024**2,
        description="Lists and stacks that each replica makes at the same time; others wait a moment, then get 503.",
    )
    drain_seconds: float = Field(default=5.0, ge=0, description="How long running calls may go on after SIGTERM.")
    auth_address: Addresses = Field(default="127.0.0.1:7401", description=_ALL_OF.format("auth_svc"))
    grid_address: Addresses = Field(default="127.0.0.1:7402", description=_ALL_OF.format("grid_svc"))
    deploy_address: Addresses = Field(default="127.0.0.1:7403", description=_ALL_OF.format("deploy_svc"))
    vault_address: Addresses = Field(default="127.0.0.1:7404", description=_ALL_OF.format("vault_svc"))

    def cluster_tokens(self) -> ClusterTokens:
        return ClusterTokens(self.cluster_secret.get_secret_value(), separate=self.separate_token_keys)

    @field_validator("database_url")
    @classmethod
    def _of_postgres(cls, url: str) -> str:
        if not url.startswith(_POSTGRES):
            raise ValueError("only Postgres works: postgresql://user:password@host:port/database")
        postgres.addresses(url)
        return url


class SealingSettings(ServiceSettings):
    """Of services that always encrypt. What any of VAULT_KEY, VAULT_OLD_KEYS and CLUSTER_SECRET encrypted opens, so
    setting or changing VAULT_KEY loses nothing."""

    derivation: ClassVar[Derivation]

    vault_key: SecretStr | None = Field(
        default=None, description="Encrypts what is secret in the database. Without it CLUSTER_SECRET does."
    )
    vault_old_keys: SecretStr | None = Field(
        default=None,
        validation_alias=AliasChoices("VAULT_OLD_KEYS", "VAULT_KEY_PREVIOUS"),
        description="Comma separated keys that only decrypt.",
    )

    def keyring(self) -> Keyring:
        """What this service encrypts with."""
        cluster = self.cluster_secret.get_secret_value()
        old = self.vault_old_keys.get_secret_value().split(",") if self.vault_old_keys else []
        current = self.vault_key.get_secret_value() if self.vault_key else cluster
        return self.derivation.keyring(current, (*filter(str.strip, old), cluster))


def own_or_shared(own: str) -> AliasChoices:
    """Lets `GRID_DATABASE_URL` win over `DATABASE_URL`."""
    return AliasChoices(own, "DATABASE_URL")


def variables(settings: type[BaseSettings]) -> Iterator[tuple[str, ...]]:
    """The names under which each field is read."""
    for name, field in settings.model_fields.items():
        yield _names(settings, name, field)


def _names(settings: type[BaseSettings], name: str, field: FieldInfo) -> tuple[str, ...]:
    match field.validation_alias:
        case AliasChoices(choices=choices):
            return tuple(str(choice).upper() for choice in choices)
        case str(alias):
            return (alias.upper(),)
    return (f"{settings.model_config.get('env_prefix', '')}{name}".upper(),)
