"""What one grid may have of vault_svc. Each field is a setting."""

from pydantic import Field

from services.kernel.quotas import Quotas


class VaultQuotas(Quotas):
    """No use that was thought of comes near the defaults."""

    secrets_per_grid: int = Field(default=10_000, ge=1, description="secrets in a grid")
    secret_bytes_per_grid: int = Field(
        default=128 * 1024**2, ge=1024, description="bytes of encrypted values in the secrets of a grid"
    )
    certificates_per_grid: int = Field(default=2_000, ge=1, description="certificates in a grid")
    domain_authorizations_per_grid: int = Field(default=2_000, ge=1, description="domain authorizations in a grid")
    registries_per_grid: int = Field(default=1_000, ge=1, description="external registries in a grid")
