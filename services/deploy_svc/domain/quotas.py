"""What one grid, and one user, may have of deploy_svc. Each field is a setting."""

from pydantic import Field

from services.kernel.quotas import Quotas

KIB, MIB = 1024, 1024**2


class DeployQuotas(Quotas):
    """No use that was thought of comes near the defaults."""

    services_per_grid: int = Field(default=20_000, ge=1, description="services in a grid")
    stacks_per_grid: int = Field(default=5_000, ge=1, description="stacks in a grid")
    volumes_per_grid: int = Field(default=20_000, ge=1, description="volumes in a grid")
    configs_per_grid: int = Field(default=10_000, ge=1, description="configs in a grid")
    config_bytes_per_grid: int = Field(default=64 * MIB, ge=KIB, description="bytes of text in the configs of a grid")
    service_bytes: int = Field(default=512 * KIB, ge=KIB, description="bytes in one service, as JSON")
    stack_bytes: int = Field(default=2 * MIB, ge=KIB, description="bytes in the document of one stack, as JSON")
    spec_bytes_per_grid: int = Field(
        default=32 * MIB, ge=KIB, description="bytes in the services and stacks of a grid, as JSON"
    )
    revisions_kept: int = Field(
        default=20, ge=2, le=1000, description="revisions of a service, and of a stack, to go back to; older ones go"
    )
    idempotency_bytes_per_user: int = Field(
        default=16 * MIB,
        ge=KIB,
        description="bytes of answers that are kept for repeated requests of a user, until they are "
        "IDEMPOTENCY_HOURS old",
    )
