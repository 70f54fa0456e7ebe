"""What was done once in the life of the installation, and the lock of whoever starts it."""

from sqlalchemy.dialects.postgresql import insert

from services.auth_svc.store.tables import bootstrap_steps
from services.kernel.db import Tx


async def first_time(tx: Tx, name: str) -> bool:
    """Mark a step as done; True for the one transaction that does so first."""
    statement = insert(bootstrap_steps).values(name=name).on_conflict_do_nothing().returning(bootstrap_steps.c.name)
    return (await tx.execute(statement)).first() is not None
