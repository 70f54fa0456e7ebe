"""What one user may have of auth_svc. Each field is a setting."""

from pydantic import Field

from services.kernel.quotas import Quotas


class AuthQuotas(Quotas):
    """No use that was thought of comes near the defaults."""

    tokens_per_user: int = Field(default=1_000, ge=1, description="access tokens and codes of a user that did not end")
