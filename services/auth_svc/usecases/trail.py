"""What auth_svc writes into the audit log."""

from services.auth_svc.domain.access_token import AccessToken
from services.auth_svc.domain.user import User
from services.auth_svc.store import tables
from services.kernel import audit
from services.kernel.audit import Resource
from services.kernel.db import AnyTx, Tx
from services.kernel.principal import Principal


async def token(tx: AnyTx, event: str, token: AccessToken, *, by: Principal | None = None) -> None:
    """Something happened to a token; it is named by its owner, never by its value."""
    await audit.record(tx, tables.outbox, event, Resource("AccessToken", token.id, token.owner.email), by=by)


async def user(tx: Tx, event: str, user: User, *, by: Principal | None = None) -> None:
    """Something happened to a user."""
    await audit.record(tx, tables.outbox, event, Resource("User", user.id, user.email), by=by)


async def config(tx: Tx, event: str, key: str) -> None:
    """Something happened to a configuration key; its value is never recorded."""
    await audit.record(tx, tables.outbox, event, Resource("config", key, "config"))


async def member(tx: Tx, event: str, user: User, grid_id: str, grid: str) -> None:
    """Something happened to a user's membership of a grid."""
    await audit.record(tx, tables.outbox, event, Resource("User", user.id, user.email, grid_id, grid))
