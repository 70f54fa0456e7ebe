"""What an invitation consists of."""

from dataclasses import dataclass, field

from services.auth_svc.domain.parameters import Parameters
from services.auth_svc.domain.user import valid_email
from services.kernel.errors import OAuthError, ValidationFailed
from services.kernel.validation import clean

_LONGEST = 254


@dataclass(frozen=True, slots=True)
class Invitation:
    """The code exists in the answer that creates it, and as a digest."""

    email: str
    code: str = field(repr=False)
    link: str = field(repr=False)


def parse_email(text: str | None) -> str:
    """The e-mail to invite. Raises OAuthError."""
    try:
        return valid_email(text or "")
    except ValidationFailed as error:
        raise OAuthError(400, "invalid_request", str(error)) from None


def parse_text(parameters: Parameters, name: str) -> str | None:
    """Optional short text. Raises OAuthError."""
    text = clean(parameters.text(name) or "")
    if len(text) > _LONGEST:
        raise OAuthError(400, "invalid_request", f"{name}: max")
    return text or None
