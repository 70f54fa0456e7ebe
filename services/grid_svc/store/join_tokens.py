"""How join tokens of grids and nodes are stored, and those that are to be stored in another way."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from services.grid_svc.domain.join_token import StoredToken
from services.grid_svc.store.tables import grids, nodes, sealed_tokens
from services.kernel.db import Tx

HOLDERS: Mapping[str, sa.Table] = {"grids": grids, "nodes": nodes}


def values(token: StoredToken | None) -> dict[str, Any]:
    """The columns of a token: its clear text only as long as `seal_all` was not called."""
    if token is None:
        return {"token": None, "token_sealed": None, "token_digest": None}
    sealed_only = _sealed_only()
    sealed = sa.literal(token.sealed, sa.LargeBinary)
    return {
        "token": sa.case((sealed_only, ""), else_=sa.literal(token.clear, sa.Text)),
        "token_sealed": sa.case((sealed_only, sealed), else_=sa.null()),
        "token_digest": token.digest,
    }


def row_to_token(row: Any) -> StoredToken | None:
    """The token of a row; None for a node without one."""
    return None if row.token_digest is None else StoredToken(row.token_digest, row.token_sealed, row.token or "")


async def seal_all(tx: Tx) -> None:
    """From this transaction on no token is stored in clear text. Idempotent."""
    await tx.execute(sealed_tokens.insert().from_select(["since"], sa.select(sa.func.now()).where(~_sealed_only())))


async def are_sealed(tx: Tx) -> bool:
    """Whether `seal_all` was called."""
    return bool((await tx.execute(sa.select(_sealed_only()))).scalar_one())


async def to_seal(tx: Tx, holder: str, key_id: str | None, after: str, limit: int) -> list[tuple[str, StoredToken]]:
    """Tokens in clear text, or under another key than that when one is given, by the id of their owner, from the one
    after `after`; locked."""
    t = HOLDERS[holder].c
    wanted = sa.or_(t.token_sealed.is_(None), t.token != "")
    if key_id is not None:
        wanted = sa.or_(wanted, sa.func.substring(t.token_sealed, 2, 8) != bytes.fromhex(key_id))
    query = sa.select(t.id, t.token, t.token_sealed, t.token_digest)
    query = query.where(t.token_digest.is_not(None), t.id > after, wanted)
    rows = await tx.execute(query.order_by(t.id).limit(limit).with_for_update(key_share=True))
    return [(row.id, StoredToken(row.token_digest, row.token_sealed, row.token or "")) for row in rows]


async def replace(tx: Tx, holder: str, owner_id: str, token: StoredToken) -> None:
    """Store the encrypted form of a token that `to_seal` locked, and that only."""
    table = HOLDERS[holder]
    await tx.execute(table.update().where(table.c.id == owner_id).values(token="", token_sealed=token.sealed))


def _sealed_only() -> sa.Exists:
    return sa.exists(sa.select(sealed_tokens.c.since))
