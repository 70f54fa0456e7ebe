"""Who may read what the vault keeps secret."""

from services.clients.grids import Grid, GridDirectory
from services.kernel.errors import Forbidden
from services.kernel.principal import Principal

_HIDDEN = (
    "Viewers, and tokens with the scope read or of a grid, cannot read values of secrets and private keys. "
    "A member of the grid without the role viewer can."
)


async def revealable(grids: GridDirectory, principal: Principal, name: str) -> Grid:
    """The grid, if the caller may read values in it: whoever may use them in a service. Raises NotFound, Forbidden."""
    grid = await grids.accessible(principal, name)
    if not principal.may_read_values(grid.id):
        raise Forbidden(_HIDDEN, reason="SECRET_VALUES_HIDDEN")
    return grid
