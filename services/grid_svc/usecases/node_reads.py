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
from services.kernel.kept import Kept, Newest, Version
from services.kernel.pages import Listing, Page
from services.kernel.principal import Principal

# Grids whose nodes' addresses are kept ready.
_BOOKS = 100


class NodeReads:
    """What answers show of nodes to a caller, whose access is checked before anything of them is told."""

    def __init__(self, db: Database, grids: GridReads, tokens: JoinTokens, part: Callable[[Node], NodePart]) -> None:
        self._db = db
        self._grids = grids
        self._tokens = tokens
        self._kept = Kept(part)
        self._books: Newest[tuple[str, AddressBook]] = Newest(_BOOKS)

    async def one(self, principal: Principal, grid_name: str, reference: str) -> ShownNode:
        """One node. Raises NotFound, Forbidden."""
        current, node = required(await node_versions.one(self._db, grid_name, reference))
        grid = await self._grids.of_version(principal, current.id, current.version)
        shown = await self._shown(principal, grid, [required(node)], current.peers_text)
        return required(next(iter(shown), None))

    async def of_grid(self, principal: Principal, grid_name: str, page: Page) -> Listing[ShownNode]:
        """The nodes of a grid by name. Raises NotFound, Forbidden."""
        grid, _ = await self._grids.one(principal, grid_name)
        found = await node_versions.of_grid(self._db, grid.id, page)
        peers_text = await node_versions.peers_text(self._db, grid.id)
        return Listing(await self._shown(principal, grid, found, peers_text), found.next)

    async def _shown(
        self, principal: Principal, grid: Grid, found: Sequence[CurrentNode], peers_text: str
    ) -> list[ShownNode]:
        grid = self._tokens.shown_to(principal, grid)
        parts = await self._kept.of({node.id: node.version for node in found}, self._load)
        book = self._book(grid.id, peers_text)
        return [
            ShownNode(part, grid, book.others(part.peer), node.conflict)
            for node in found
            if (part := parts.get(node.id)) is not None
        ]

    def _book(self, grid_id: str, peers_text: str) -> AddressBook:
        known = self._books.get(grid_id)
        if known is None or known[0] != peers_text:
            known = peers_text, AddressBook(node_versions.peers(peers_text))
            self._books.put(grid_id, known)
        return known[1]

    async def _load(self, ids: Sequence[str]) -> list[tuple[str, Version, Node]]:
        async with self._db.read() as tx:
            return await node_versions.load(tx, ids)
