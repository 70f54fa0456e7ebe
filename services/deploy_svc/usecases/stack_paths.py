"""Whether a stack exists, for what hangs on one."""

from services.deploy_svc.store import stack_names
from services.kernel.db import Tx
from services.kernel.errors import NotFound


async def require_stack(tx: Tx, grid_id: str, name: str) -> None:
    """Raises NotFound for an unknown stack."""
    if name not in await stack_names.existing(tx, grid_id, {name}):
        raise NotFound
