"""Access tokens and authorization codes. Rows that were used up or revoked are invisible except where said."""

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from services.auth_svc.domain.access_token import AccessToken, Bounds, Digests, Owner
from services.auth_svc.store.config import NAME_OF_SERVER, row_to_server_name
from services.auth_svc.store.tables import access_tokens, users
from services.kernel import locks, pages
from services.kernel.db import AnyTx, Database, Tx, run
from services.kernel.members import made_of
from services.kernel.pages import WHOLE, Listing, Page
from services.kernel.statements import Statement

_table = access_tokens
_LIVE = sa.and_(_table.c.consumed_at.is_(None), _table.c.revoked_at.is_(None))
_SECONDS_LEFT = sa.cast(sa.func.floor(sa.extract("epoch", _table.c.expires_at - sa.func.now())), sa.Integer)
_COLUMNS = (
    _table.c.id,
    _table.c.family_id,
    _table.c.token_type,
    _table.c.scopes,
    _table.c.expires_at,
    _SECONDS_LEFT.label("expires_in"),
    _table.c.description,
    _table.c.access_last_four,
    _table.c.refresh_last_four,
    _table.c.parent_family_id,
    _table.c.grid_id,
    users.c.id.label("user_id"),
    users.c.email,
    users.c.name,
)


def _select(condition: sa.ColumnElement[bool]) -> sa.Select[Any]:
    return sa.select(*_COLUMNS).select_from(_table.join(users)).where(condition, _LIVE)


_BY_ID = Statement(_select(_table.c.id == sa.bindparam("token_id")).add_columns(NAME_OF_SERVER))
_ADDED = (
    "id",
    "user_id",
    "family_id",
    "parent_family_id",
    "grid_id",
    "token_type",
    "token_digest",
    "refresh_digest",
    "code_digest",
    "access_last_four",
    "refresh_last_four",
    "scopes",
    "description",
    "expires_at",
    "code_expires_at",
)
_ADD = Statement(_table.insert().values({name: sa.bindparam(name) for name in _ADDED}).returning(_table.c.id))
_LASTS = sa.or_(_table.c.expires_at.is_(None), _table.c.expires_at > sa.func.now())
_COUNT = Statement(
    sa.select(sa.func.count().label("count"))
    .select_from(_table)
    .where(_table.c.user_id == sa.bindparam("owner_id"), _LIVE, _LASTS)
)
_HOLD_FAMILY = Statement(
    sa.select(_table.c.family_id).where(_table.c.id == sa.bindparam("token_id"), _LIVE).with_for_update(read=True)
)


async def add(tx: AnyTx, token: AccessToken, digests: Digests, code_expires_at: datetime | None = None) -> None:
    """Store a new token, or a code that ends when its token would or before."""
    await run(
        tx,
        _ADD,
        id=token.id,
        user_id=token.owner.id,
        family_id=token.family_id,
        parent_family_id=token.bounds.parent_family_id,
        grid_id=token.bounds.grid_id,
        token_type=token.kind,
        token_digest=digests.access,
        refresh_digest=digests.refresh,
        code_digest=digests.code,
        access_last_four=token.access_last_four,
        refresh_last_four=token.refresh_last_four,
        scopes=list(token.scopes),
        description=token.description,
        expires_at=token.expires_at,
        code_expires_at=code_expires_at,
    )


async def find(tx: Tx, token_id: str) -> AccessToken | None:
    """The token with this id."""
    return await _first(tx, _table.c.id == token_id)


async def shown(db: Database, token_id: str) -> tuple[AccessToken, str | None] | None:
    """As `find`, for those who only look, with what clients call this installation."""
    rows = await db.fetch(_BY_ID, token_id=token_id)
    return next(((_token(row), row_to_server_name(row)) for row in rows), None)


async def find_by_value(tx: Tx, digest: bytes) -> AccessToken | None:
    """The token with this access value."""
    return await _first(tx, _table.c.token_digest == digest)


async def of_user(tx: Tx, user_id: str, page: Page = WHOLE) -> Listing[AccessToken]:
    """The tokens and codes of a user, oldest first, expired ones included."""
    query = _select(_table.c.user_id == user_id).add_columns(_table.c.created_at)
    return await pages.read(tx, query, {"created_at": _table.c.created_at, "id": _table.c.id}, page, _token)


async def count(tx: AnyTx, user_id: str) -> int:
    """How many tokens and codes of a user did not end."""
    [row] = await run(tx, _COUNT, owner_id=user_id)
    return int(row[0])


async def consume_code(tx: Tx, digest: bytes) -> AccessToken | None:
    """Use up a code that has not ended; of any number of concurrent callers exactly one gets it."""
    # The earlier of both; null when neither is set.
    ends = sa.func.least(_table.c.code_expires_at, _table.c.expires_at)
    usable = sa.or_(ends.is_(None), ends > sa.func.now())
    return next(iter(await _end(tx, sa.and_(_table.c.code_digest == digest, usable), "consumed_at")), None)


async def consume_refresh(tx: Tx, digest: bytes) -> AccessToken | None:
    """Use up a token by its refresh value; of any number of concurrent callers exactly one gets it."""
    return next(iter(await _end(tx, _table.c.refresh_digest == digest, "consumed_at")), None)


async def lock_family_of_refresh(tx: Tx, digest: bytes) -> str | None:
    """The family that a refresh value belongs or belonged to, locked until the transaction ends.

    Without the lock, revoking a family could miss the successor that a concurrent refresh is about to commit.
    """
    query = sa.select(_table.c.family_id).where(_table.c.refresh_digest == digest)
    family_id: str | None = (await tx.execute(query)).scalar_one_or_none()
    if family_id is not None:
        await locks.hold(tx, locks.TOKEN_FAMILY, family_id)
    return family_id


async def was_consumed(tx: Tx, digest: bytes) -> bool:
    """Whether a refresh value was used up before."""
    query = sa.select(_table.c.id).where(_table.c.refresh_digest == digest, _table.c.consumed_at.is_not(None))
    return (await tx.execute(query)).first() is not None


async def revoke(tx: Tx, token_id: str) -> bool:
    """End a token; False when it is over already."""
    return bool(await _end(tx, _table.c.id == token_id, "revoked_at"))


async def revoke_family(tx: Tx, family_id: str) -> list[AccessToken]:
    """End what is left of a family and return it."""
    return await _end(tx, _table.c.family_id == family_id, "revoked_at")


async def hold_family(tx: AnyTx, token_id: str) -> str | None:
    """The family of a token that is good, which cannot end before the transaction does; None when it ended already."""
    rows = await run(tx, _HOLD_FAMILY, token_id=token_id)
    return rows[0].family_id if rows else None


async def revoke_minted_with(tx: Tx, family_id: str) -> list[AccessToken]:
    """End all that was minted with tokens of a family that ended, and with those again; returns it.

    One generation after the other, each under the lock of its families: whoever is just refreshing or minting is waited
    for, and what they made is ended with the next statement.
    """
    ended: list[AccessToken] = []
    seen = {family_id}
    parents = [family_id]
    while parents:
        query = sa.select(_table.c.family_id).where(_table.c.parent_family_id.in_(parents)).distinct()
        parents = sorted(set((await tx.execute(query)).scalars()) - seen)
        seen.update(parents)
        for found in parents:
            await locks.hold(tx, locks.TOKEN_FAMILY, found)
        if parents:
            ended += await _end(tx, _table.c.family_id.in_(parents), "revoked_at")
    return ended


async def forget_ended(tx: Tx, kept: timedelta) -> int:
    """Remove rows that were used up or revoked longer than `kept` ago, and codes of logins that nobody picked up.
    Returns how many."""
    over = sa.func.least(_table.c.consumed_at, _table.c.revoked_at, _table.c.code_expires_at)
    return (await tx.execute(_table.delete().where(over < sa.func.now() - kept))).rowcount


async def _first(tx: Tx, condition: sa.ColumnElement[bool]) -> AccessToken | None:
    row = (await tx.execute(_select(condition))).first()
    return None if row is None else _token(row)


async def _end(tx: Tx, condition: sa.ColumnElement[bool], column: str) -> list[AccessToken]:
    statement = (
        _table.update()
        .values({column: sa.func.now()})
        .where(condition, _LIVE, users.c.id == _table.c.user_id)
        .returning(*_COLUMNS)
    )
    return [_token(row) for row in (await tx.execute(statement)).all()]


def _token(row: Any) -> AccessToken:
    return made_of(
        AccessToken,
        row,
        owner=Owner(row.user_id, row.email, row.name),
        kind=row.token_type,
        scopes=tuple(row.scopes),
        bounds=Bounds(row.parent_family_id, row.grid_id),
    )
