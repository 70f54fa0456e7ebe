"""Settings every service has. Values come from the environment; a wrong one ends the process at start with its name."""

from pydantic import AliasChoices, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class ServiceSettings(BaseSettings):
    """Base of each service's settings. Secret values never appear in `repr`, logs or start errors."""

    model_config = SettingsConfigDict(extra="ignore", populate_by_name=True, hide_input_in_errors=True)

    database_url: str = Field(description="postgresql://user:password@host:port/database")
    database_pool_size: int = Field(default=10, ge=1, le=100)
    cluster_secret: SecretStr = Field(min_length=16, description="Shared by all services; signs their tokens.")
    listen_address: str = Field(description="host:port of the gRPC server.")
    metrics_address: str = Field(default="", description="host:port of the Prometheus endpoint; empty means none.")
    log_level: str = "info"
    drain_seconds: float = Field(default=5.0, ge=0, description="How long running calls may go on after SIGTERM.")
    auth_address: str = "127.0.0.1:7401"
    grid_address: str = "127.0.0.1:7402"
    deploy_address: str = "127.0.0.1:7403"
    vault_address: str = "127.0.0.1:7404"


def own_or_shared(own: str, shared: str = "DATABASE_URL") -> AliasChoices:
    """Lets `GRID_DATABASE_URL` win over `DATABASE_URL`."""
    return AliasChoices(own, shared)
