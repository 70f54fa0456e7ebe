"""Settings of deploy_svc."""

from typing import Literal

from pydantic import Field

from services.deploy_svc.domain.quotas import DeployQuotas
from services.kernel.settings import ServiceSettings, own_or_shared


class Settings(ServiceSettings, DeployQuotas):
    """Read from the environment."""

    database_url: str = Field(validation_alias=own_or_shared("DEPLOY_DATABASE_URL"))
    listen_address: str = "127.0.0.1:7403"
    role: Literal["api", "engine", "both"] = Field(
        default="both",
        validation_alias="DEPLOY_ROLE",
        description="api answers requests and agents, engine carries out deploys and keeps services running. both is "
        "an api that keeps an engine in a process beside it.",
    )
    engine_metrics_address: str = Field(
        default="", description="host:port of the Prometheus endpoint of the engine of a process with the role both."
    )
    advertise_address: str = Field(default="", description="host:port at which other replicas reach this one.")
    log_retention_days: int = Field(default=7, ge=1, le=3650, description="Days that logs, events and stats are kept.")
    log_quota_bytes: int = Field(
        default=10 * 1024**3, ge=1024**2, description="Logs of one grid; above that its oldest lines are removed."
    )
    log_total_bytes: int = Field(
        default=100 * 1024**3,
        ge=1024**2,
        description="Logs of all grids; above that the oldest lines of those grids are removed that have the most.",
    )
    idempotency_hours: int = Field(
        default=24, ge=1, le=720, description="Hours in which a request with the same Idempotency-Key gets its answer."
    )
    reconcile_seconds: float = Field(default=20.0, ge=0.2, description="How often each running service is looked at.")
    grace_factor: float = Field(
        default=1.0,
        ge=0.0,
        description="Multiplies how long a lost node keeps its instances (120 s, daemon 600 s)"
        " and how long an instance waits for its secrets (60 s).",
    )
    host_paths: str = Field(
        default="",
        description="Comma separated paths of nodes that every member may mount where only admins may use the host "
        "(`host_access` of a grid). Each counts exactly: paths below it do not.",
    )

    def open_host_paths(self) -> list[str]:
        return [path.strip() for path in self.host_paths.split(",") if path.strip()]
