"""Settings of the exec bridge, from the environment. Names that services have too mean the same here."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from services.kernel.settings import WHO_READS_METRICS, Addresses, MetricsToken, PartSettings


class ExecBridgeSettings(PartSettings):
    """A wrong value ends the process at start with its name. gateway/README.md lists the variables."""

    model_config = SettingsConfigDict(extra="ignore")

    listen_address: str = Field(default="127.0.0.1:7405", description="host:port; only the gateway may reach it.")
    metrics_address: str = Field(default="", description="host:port of the Prometheus endpoint; empty means none.")
    metrics_token: MetricsToken = Field(default=None, description=WHO_READS_METRICS)
    deploy_address: Addresses = Field(
        default="127.0.0.1:7403", description="Where deploy_svc listens, as for services."
    )
    log_level: str = "info"

    exec_session_limit: int = Field(default=500, ge=1, description="Sessions at a time; more are told 503.")
    exec_frame_limit_bytes: int = Field(default=8 << 20, ge=1024, description="Largest frame of a client.")
    exec_open_seconds: float = Field(
        default=10.0, gt=0, description="How long deploy_svc may take to find a container."
    )
    exec_first_frame_seconds: float = Field(default=30.0, gt=0, description="How long a client may take to say cmd.")
    exec_ping_seconds: float = Field(default=30.0, gt=0, description="Between pings; a missing pong ends the session.")
