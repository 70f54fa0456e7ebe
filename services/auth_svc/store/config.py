"""Server configuration as it is stored: a JSON value, or the encrypted form of one."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from services.auth_svc.domain import configuration
from services.auth_svc.domain.configuration import SERVER_NAME, Json
from services.auth_svc.store.tables import config
from services.kernel.db import Database, Tx
from services.kernel.statements import Statement


@dataclass(frozen=True, slots=True)
class Stored:
    """One of both is set."""

    value: Json = None
    sealed: bytes | None = field(default=None, repr=False)


NAME_OF_SERVER = sa.select(config.c.value).where(config.c.key == SERVER_NAME).scalar_subquery().label("server_name")
_NAME_OF_SERVER = Statement(sa.select(NAME_OF_SERVER))


async def server_name(db: Database) -> str | None:
    """What clients call this installation."""
    return row_to_server_name((await db.fetch(_NAME_OF_SERVER))[0])


def row_to_server_name(row: Any) -> str | None:
    """The same, of a row of a prepared statement that selects NAME_OF_SERVER."""
    found = row.server_name
    return None if found is None else configuration.text({SERVER_NAME: json.loads(found)}, SERVER_NAME)


async def find(tx: Tx, keys: Collection[str] | None = None, prefix: str | None = None) -> dict[str, Stored]:
    """What is stored under these keys and those with the prefix, by key; everything when neither is given."""
    chosen = [] if keys is None else [config.c.key == sa.any_(sa.literal(list(keys), sa.ARRAY(sa.Text)))]
    if prefix is not None:
        chosen.append(config.c.key.startswith(prefix, autoescape=True))
    condition = sa.or_(*chosen) if chosen else sa.true()
    rows = await tx.execute(sa.select(config).where(condition).order_by(sa.collate(config.c.key, "C")))
    return {row.key: Stored(row.value, row.sealed) for row in rows}


async def put(tx: Tx, entries: Mapping[str, Stored], *, replace: bool = True) -> None:
    """Store under each key; `replace` says whether a key that is set already changes."""
    if not entries:
        return
    values = [
        {"key": key, "value": sa.null() if entry.sealed is not None else entry.value, "sealed": entry.sealed}
        for key, entry in entries.items()
    ]
    statement = insert(config)
    both = {"value": statement.excluded.value, "sealed": statement.excluded.sealed}
    update = statement.on_conflict_do_update(index_elements=["key"], set_=both)
    await tx.execute((update if replace else statement.on_conflict_do_nothing()), values)


async def delete(tx: Tx, keys: Collection[str]) -> None:
    """Remove keys; those that are not set do not matter."""
    await tx.execute(config.delete().where(config.c.key == sa.any_(sa.literal(list(keys), sa.ARRAY(sa.Text)))))
