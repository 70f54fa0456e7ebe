"""How machines become nodes of a grid."""

from dataclasses import dataclass

from services.grid_svc.domain import join_script
from services.grid_svc.usecases.access import administrable
from services.grid_svc.usecases.join_tokens import JoinTokens
from services.kernel.db import Database
from services.kernel.errors import ValidationFailed
from services.kernel.principal import Principal
from services.kernel.version import VERSION

_IMAGE = f"kontena/agent:{VERSION}"
_UNKNOWN = "is required, as this master was not told its own address (MASTER_URL of grid_svc): https://HOST:PORT"
_WRONG = "must be the address of the gateway as nodes reach it: https://HOST:PORT"


@dataclass(frozen=True, slots=True)
class GridJoin:
    """Both forms."""

    grid: str
    uri: str
    systemd: str
    container: str


class GridJoins:
    """For administrators of the grid. `uri` and `ca` are what the operator said of this master, or empty."""

    def __init__(self, db: Database, tokens: JoinTokens, uri: str, ca: str) -> None:
        self._db = db
        self._tokens = tokens
        self._uri, self._ca = uri, ca

    async def get(self, principal: Principal, name: str, uri: str) -> GridJoin:
        """The scripts for a master at `uri`, or where it is said to be. Raises NotFound, Forbidden,
        ValidationFailed, Undecryptable."""
        async with self._db.read() as tx:
            grid = await administrable(tx, principal, name)
        wanted = uri or self._uri
        if not wanted:
            raise ValidationFailed({"uri": f"uri {_UNKNOWN}"})
        master = join_script.master(wanted, self._ca)
        if master is None:
            raise ValidationFailed({"uri": f"uri {_WRONG}"})
        token = self._tokens.of_grid(grid)
        return GridJoin(
            grid=grid.name,
            uri=master.uri,
            systemd=join_script.systemd(grid.name, token, master),
            container=join_script.container(grid.name, token, master, _IMAGE),
        )
