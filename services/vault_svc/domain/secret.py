"""A secret of a grid, and what its name and value may be (docs/spec/vault.md section 2.1)."""

from dataclasses import dataclass
from datetime import datetime

from services.kernel.validation import NAME, Checker, clean
from services.vault_svc.domain import bindings
from services.vault_svc.domain.envelope import Binding, Sealed
from services.vault_svc.domain.plaintext import Plaintext

LONGEST_NAME = 255


@dataclass(frozen=True, slots=True)
class Secret:
    """What may be shown of a secret in a list."""

    id: str
    grid_id: str
    name: str
    created_at: datetime
    updated_at: datetime

    def binding(self) -> Binding:
        """What its ciphertext is bound to."""
        return bindings.secret(self.grid_id, self.name, self.id)


@dataclass(frozen=True, slots=True)
class StoredSecret:
    """A secret with its encrypted value; `version` grows with every write of the row."""

    secret: Secret
    sealed: Sealed
    version: int


@dataclass(frozen=True, slots=True)
class ServiceRef:
    """A service that uses a secret: path-like id, and name."""

    id: str
    name: str


def is_name(text: str) -> bool:
    """Whether a secret can have this name; anything else need not be looked up."""
    return len(text) <= LONGEST_NAME and NAME.fullmatch(text) is not None


def check_new(name: str | None, value: Plaintext | None, longest_value: int) -> tuple[str, Plaintext]:
    """The name and value of a secret to create. Raises ValidationFailed with all problems."""
    check = Checker()
    checked = check.text("name", name, required=True, pattern=NAME, longest=LONGEST_NAME)
    _check_value(check, value, longest_value)
    check.done()
    assert checked is not None  # noqa: S101 -- `done` raises otherwise.
    assert value is not None  # noqa: S101
    return checked, value


def check_upsert(path_name: str, body_name: str | None, value: Plaintext | None, longest_value: int) -> Plaintext:
    """The value of a secret that the path names and that is to be created. Raises ValidationFailed."""
    check = Checker()
    if check.text("name", path_name, pattern=NAME, longest=LONGEST_NAME) not in (None, path_name):
        # Nothing is stripped here: the path names the secret.
        check.fail("name", "Name isn't in the right format")
    return _check_change(check, path_name, body_name, value, longest_value)


def check_update(path_name: str, body_name: str | None, value: Plaintext | None, longest_value: int) -> Plaintext:
    """The new value of an existing secret. Raises ValidationFailed."""
    return _check_change(Checker(), path_name, body_name, value, longest_value)


def _check_change(
    check: Checker, path_name: str, body_name: str | None, value: Plaintext | None, longest_value: int
) -> Plaintext:
    if body_name is not None and clean(body_name) != path_name:
        check.fail("name", "Name does not match the secret in the path")
    _check_value(check, value, longest_value)
    check.done()
    assert value is not None  # noqa: S101 -- `done` raises otherwise.
    return value


def _check_value(check: Checker, value: Plaintext | None, longest: int) -> None:
    if value is None:
        check.fail("value", "Value is required")
    elif b"\0" in value.data:
        # It cannot travel in the environment of a container.
        check.fail("value", "Value is invalid")
    elif not value.reveal().strip():
        check.fail("value", "Value can't be blank")
    elif len(value) > longest:
        check.fail("value", "Value is too long")
