"""The guard of everything under a grid: 404 for an unknown grid, then 403 (docs/spec/auth_grid.md section 11.4)."""

from services.grid_svc.domain.grid import Grid
from services.grid_svc.store import grids as store
from services.kernel.db import Tx
from services.kernel.errors import Forbidden, required
from services.kernel.principal import Principal


async def accessible(tx: Tx, principal: Principal, name: str) -> Grid:
    """The grid, without its token (join_tokens.py). Raises NotFound, then Forbidden."""
    grid = required(await store.find(tx, name))
    if not principal.has_access(grid.id):
        raise Forbidden
    return grid


async def administrable(tx: Tx, principal: Principal, name: str) -> Grid:
    """The grid, if the caller administrates it. Raises NotFound, then Forbidden."""
    grid = await accessible(tx, principal, name)
    if not principal.is_grid_admin(grid.id):
        raise Forbidden
    return grid


async def changeable(tx: Tx, principal: Principal, name: str) -> Grid:
    """The grid, if the caller may change things in it. Raises NotFound, then Forbidden."""
    grid = await accessible(tx, principal, name)
    if not principal.may_change(grid.id):
        raise Forbidden
    return grid
