"""Reads of nodes: each is put together from parts that are kept, of the versions that Postgres says are current."""

from collections.abc import Callable, Sequence

from services.grid_svc.domain.grid import Grid
from services.grid_svc.domain.node import AddressBook, Node
from services.grid_svc.domain.node_view import NodePart, ShownNode
from services.grid_svc.store import node_versions
from services.grid_svc.store.node_versions import CurrentNode
from services.grid_svc.usecases.grid_reads import GridReads
from services.grid_svc.usecases.join_tokens import JoinTokens
from services.kernel.db import Database
from services.kernel.errors import required
from services.kernel.kept import Kept, Version
from services.kernel.pages import Listing, Page
from services.kernel.principal import Principal


class NodeReads:
    """What answers show of nodes to a caller, whose access is checked before anything of them is told."""

    def __init__(self, db: Database, grids: GridReads, tokens: JoinTokens, part: Callable[[Node], NodePart]) -> None:
        self._db = db
        self._grids = grids
        self._tokens = tokens
        self._kept = Kept(part)

    async def one(self, principal: Principal, grid_name: str, reference: str) -> ShownNode:
        """One node. Raises NotFound, Forbidden."""
        grid_id, version, node = required(await node_versions.one(self._db, grid_name, reference))
        grid = await self._grids.of_version(principal, grid_id, version)
        shown = await self._shown(principal, grid, [required(node)])
        return required(next(iter(shown), None))

    async def of_grid(self, principal: Principal, grid_name: str, page: Page) -> Listing[ShownNode]:
        """The nodes of a grid by name. Raises NotFound, Forbidden."""
        grid, _ = await self._grids.one(principal, grid_name)
        async with self._db.read() as tx:
            found = await node_versions.of_grid(tx, grid.id, page)
        return Listing(await self._shown(principal, grid, found), found.next)

    async def _shown(self, principal: Principal, grid: Grid, found: Sequence[CurrentNode]) -> list[ShownNode]:
        grid = self._tokens.shown_to(principal, grid)
        parts = await self._kept.of({node.id: node.version for node in found}, self._load)
        book = AddressBook(await node_versions.peers(self._db, grid.id))
        return [
            ShownNode(part, grid, book.others(part.peer), node.conflict)
            for node in found
            if (part := parts.get(node.id)) is not None
        ]

    async def _load(self, ids: Sequence[str]) -> list[tuple[str, Version, Node]]:
        async with self._db.read() as tx:
            return await node_versions.load(tx, ids)
