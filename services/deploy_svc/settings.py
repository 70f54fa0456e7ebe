"""Settings of deploy_svc."""

from pydantic import Field

from services.kernel.settings import ServiceSettings, own_or_shared


class Settings(ServiceSettings):
    """Read from the environment."""

    database_url: str = Field(validation_alias=own_or_shared("DEPLOY_DATABASE_URL"))
    listen_address: str = "127.0.0.1:7403"
    log_retention_days: int = Field(default=7, ge=1, le=3650, description="Days that container logs are kept.")
