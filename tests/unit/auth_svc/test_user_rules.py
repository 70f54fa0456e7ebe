"""E-mail addresses."""

import pytest

from services.auth_svc.domain.user import valid_email
from services.kernel.errors import ValidationFailed


@pytest.mark.parametrize("text", ["bob@x.org", " Bob+1@Sub.x-y.Org ", "b\u00f6b@x.org"])
def test_good_addresses(text: str) -> None:
    assert valid_email(text) == text.strip()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "Email can't be blank"),
        ("admin", "Email isn't in the right format"),
        ("a@b@x.org", "Email isn't in the right format"),
        ("a@x.org\nb@x.org", "Email isn't in the right format"),
        ("a b@x.org", "Email isn't in the right format"),
        ("a" * 300 + "@x.org", "Email is too long"),
    ],
)
def test_bad_addresses(text: str, problem: str) -> None:
    with pytest.raises(ValidationFailed) as refused:
        valid_email(text)
    assert refused.value.errors == {"email": problem}
