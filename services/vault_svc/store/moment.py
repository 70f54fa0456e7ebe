"""Reading several tables as of one moment."""

import sqlalchemy as sa

from services.kernel.db import Tx


async def hold(tx: Tx) -> None:
    """All reads of the transaction see the same moment. Call before any other statement of it."""
    await tx.execute(sa.text("set transaction isolation level repeatable read read only"))
