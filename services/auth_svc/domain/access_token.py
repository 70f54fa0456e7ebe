"""Access tokens and authorization codes: how long they last, and how they follow one another."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from math import floor
from typing import Literal

from services.kernel.principal import Principal, is_limited

Kind = Literal["bearer", "authorization_code"]

# What a refreshed token lasts (docs/spec/auth_grid.md section 7.4).
REFRESHED_SECONDS = 7200


@dataclass(frozen=True, slots=True)
class Owner:
    """The user a token stands for."""

    id: str
    email: str
    name: str | None = None

    def principal(self) -> Principal:
        """The user as whoever does something, before there is a token to show."""
        return Principal(kind="user", user_id=self.id, email=self.email)


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a token cannot outlive or leave: the family of the token that it was minted with, and a grid."""

    parent_family_id: str | None = None
    grid_id: str | None = None


UNBOUND = Bounds()


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A token or a code that was not used up yet.

    `family_id` is shared by a code, the token it was exchanged for and all that replaced that one by refreshing.
    `expires_in` is in seconds from the moment the token was read, negative when past, None when it never expires.
    """

    id: str
    family_id: str
    owner: Owner
    kind: Kind
    scopes: tuple[str, ...]
    expires_at: datetime | None = None
    expires_in: int | None = None
    description: str | None = None
    access_last_four: str | None = None
    refresh_last_four: str | None = None
    bounds: Bounds = UNBOUND

    @property
    def limited(self) -> bool:
        """Whether it has less than the rights of its owner."""
        return is_limited(self.scopes)


@dataclass(frozen=True, slots=True)
class Values:
    """The plain values of a token. They exist in the answer that creates it and nowhere else."""

    access: str | None = field(default=None, repr=False)
    refresh: str | None = field(default=None, repr=False)
    code: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Digests:
    """What is stored instead of the values."""

    access: bytes | None = None
    refresh: bytes | None = None
    code: bytes | None = None


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A new token together with its values."""

    token: AccessToken
    values: Values


def expiry(now: datetime, seconds: int | None) -> datetime | None:
    """When a token made at `now` ends; None means never."""
    return None if seconds is None else now + timedelta(seconds=seconds)


def first(
    kind: Kind,
    new_id: str,
    owner: Owner,
    scopes: tuple[str, ...],
    *,
    expires_at: datetime | None,
    description: str | None = None,
    bounds: Bounds = UNBOUND,
) -> AccessToken:
    """The first token of a new family."""
    return AccessToken(
        new_id, new_id, owner, kind, scopes, expires_at=expires_at, description=description, bounds=bounds
    )


def issue(token: AccessToken, values: Values, now: datetime) -> IssuedToken:
    """Complete a new token with what clients may be shown of its values."""
    complete = replace(
        token,
        expires_in=None if token.expires_at is None else floor((token.expires_at - now).total_seconds()),
        access_last_four=last_four(values.access),
        refresh_last_four=last_four(values.refresh),
    )
    return IssuedToken(complete, values)


def successor(used: AccessToken, new_id: str, expires_at: datetime | None) -> AccessToken:
    """The bearer token that takes the place of a code or a refreshed token: same family, owner, scopes, bounds."""
    return AccessToken(
        id=new_id,
        family_id=used.family_id,
        owner=used.owner,
        kind="bearer",
        scopes=used.scopes,
        expires_at=expires_at,
        description=used.description,
        bounds=used.bounds,
    )


def last_four(value: str | None) -> str | None:
    """The end of a value, enough for a person to tell tokens apart."""
    return None if value is None else value[-4:]
