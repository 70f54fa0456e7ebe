"""An external image registry: its name comes from its URL (docs/spec/vault.md section 3.1)."""

import re
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from services.kernel.errors import ValidationFailed
from services.kernel.validation import Checker
from services.vault_svc.domain import bindings
from services.vault_svc.domain.envelope import Binding, Sealed
from services.vault_svc.domain.plaintext import Plaintext

_URL = re.compile(r"https?://\S+")
_HOST = re.compile(r"\[[0-9a-f:.]+\]|[^\s\[\]/?#@:%]+")
_PORTS = {"http": 80, "https": 443}
_LONGEST_URL = 2048
_LONGEST_TEXT = 255
_LONGEST_PASSWORD = 16_384


@dataclass(frozen=True, slots=True)
class Registry:
    """What may be shown of a registry."""

    id: str
    grid_id: str
    name: str
    url: str
    username: str
    email: str | None
    created_at: datetime

    def binding(self) -> Binding:
        """What the ciphertext of the password is bound to."""
        return bindings.registry(self.grid_id, self.name, self.id)


@dataclass(frozen=True, slots=True)
class StoredRegistry:
    """A registry with its encrypted password."""

    registry: Registry
    sealed: Sealed


@dataclass(frozen=True, slots=True)
class Credentials:
    """What logs in to a registry."""

    username: str
    password: Plaintext
    email: str | None
    url: str


@dataclass(frozen=True, slots=True)
class RegistryInput:
    """A checked registry to create."""

    name: str
    url: str
    username: str
    password: Plaintext
    email: str | None


def name_of(url: str) -> str | None:
    """The name of a registry with this URL; None when it has no usable host."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if not host:
        return None
    host = f"[{host}]" if ":" in host else host
    if _HOST.fullmatch(host) is None:
        return None
    shown = _PORTS[parts.scheme.lower()] if port is None else port
    return host if shown in (80, 443) else f"{host}:{shown}"


def check_new(url: str | None, username: str | None, password: Plaintext | None, email: str | None) -> RegistryInput:
    """A registry to create. Raises ValidationFailed with all problems."""
    check = Checker()
    checked_url = check.text("url", url, required=True, pattern=_URL, longest=_LONGEST_URL)
    name = name_of(checked_url) if checked_url else None
    if checked_url and name is None:
        check.fail("url", "Url isn't in the right format")
    user = check.text("username", username, required=True, longest=_LONGEST_TEXT)
    mail = check.text("email", email, longest=_LONGEST_TEXT) if email and email.strip() else None
    _check_password(check, password)
    check.done()
    if name is None or checked_url is None or user is None or password is None:
        raise ValidationFailed({"url": "Url isn't in the right format"})
    return RegistryInput(name, checked_url, user, password, mail)


def _check_password(check: Checker, password: Plaintext | None) -> None:
    if password is None:
        check.fail("password", "Password is required")
    elif not password.reveal().strip():
        check.fail("password", "Password can't be blank")
    elif b"\0" in password.data:
        check.fail("password", "Password is invalid")
    elif len(password) > _LONGEST_PASSWORD:
        check.fail("password", "Password is too long")
