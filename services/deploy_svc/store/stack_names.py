"""Which stacks exist, for what hangs on one."""

from collections.abc import Collection

import sqlalchemy as sa

from services.deploy_svc.domain.service import NULL_STACK
from services.deploy_svc.store.stack_tables import stacks
from services.kernel.db import Tx


async def existing(tx: Tx, grid_id: str, names: Collection[str]) -> set[str]:
    """Those of the names that are stacks of the grid; the `null` stack always is."""
    asked = sorted(set(names))
    query = sa.select(stacks.c.name).where(stacks.c.grid_id == grid_id, stacks.c.name.in_(asked))
    found = set((await tx.execute(query)).scalars()) if set(asked) - {NULL_STACK} else set()
    return found | ({NULL_STACK} & set(asked))
