"""Has nodes remove what deleted volumes left on them, whenever they are connected."""

import asyncio
from collections.abc import Collection

from services.clients.nodes import NodeDirectory
from services.deploy_svc.domain.node_command import RemoveVolume
from services.deploy_svc.store import volume_removals as store
from services.deploy_svc.store.volume_removals import VolumeRemoval
from services.deploy_svc.usecases.node_commands import NodeCommands
from services.kernel.db import Database
from services.kernel.errors import DomainError
from services.kernel.logs import get_logger

log = get_logger(__name__)

# A volume is in use until its last container is gone, which takes a moment.
PERIOD_SECONDS = 5.0
_SECONDS = 20.0
_AT_ONCE = 16


class VolumeRemovals:
    """Any number of replicas may run it. `wake` makes it look at once."""

    def __init__(self, db: Database, nodes: NodeDirectory, commands: NodeCommands) -> None:
        self._db = db
        self._nodes = nodes
        self._commands = commands
        self.wake = asyncio.Event()

    async def turn(self) -> None:
        """Ask for each removal that is due; one that fails is asked for again later.

        Nodes are asked the moment a removal is claimed: one that waited here could meet a volume that has come back.
        """
        claimed = _AT_ONCE
        while claimed == _AT_ONCE:
            async with self._db.transaction() as tx:
                due = await store.claim(tx, _AT_ONCE)
            claimed = len(due)
            known = (await self._nodes.all()).keys() if due else ()
            async with asyncio.TaskGroup() as removals:
                for removal in due:
                    removals.create_task(self._remove(removal, known))

    async def _remove(self, removal: VolumeRemoval, known: Collection[str]) -> None:
        # A node that was removed from its grid keeps what it has.
        over = removal.node_id not in known or await self._removed(removal)
        async with self._db.transaction() as tx:
            await (store.done if over else store.again)(tx, removal)

    async def _removed(self, removal: VolumeRemoval) -> bool:
        try:
            await self._commands.ask(removal.node_id, RemoveVolume(removal.name), _SECONDS)
        except DomainError as error:
            log.debug("volume not removed yet", node_id=removal.node_id, name=removal.name, cause=error.message)
            return False
        return True
