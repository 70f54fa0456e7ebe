"""Networks of the engine."""

import asyncio
from collections.abc import Collection, Mapping

from agent.domain.errors import EngineRefused
from agent.runtime.docker.engine import Engine
from services.kernel.logs import get_logger

log = get_logger(__name__)

_NOT_FOUND = 404
_CONFLICT = 409


class Networks:
    """Makes the networks that containers of this node share."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        # Engines accept two networks of one name when they are asked for at once.
        self._making = asyncio.Lock()

    async def ensure(self, name: str, labels: Mapping[str, str]) -> None:
        async with self._making:
            if not await self._exists(name):
                await self._create(name, labels)

    async def connect(self, container_id: str, name: str, aliases: Collection[str]) -> None:
        body = {"Container": container_id, "EndpointConfig": {"Aliases": sorted(aliases)}}
        async with self._engine.call() as docker:
            await (await docker.networks.get(name)).connect(body)

    async def disconnect(self, container_id: str, name: str) -> None:
        async with self._engine.call() as docker:
            await (await docker.networks.get(name)).disconnect({"Container": container_id})

    async def _exists(self, name: str) -> bool:
        try:
            async with self._engine.call() as docker:
                await docker.networks.get(name)
        except EngineRefused as error:
            if error.status == _NOT_FOUND:
                return False
            raise
        return True

    async def _create(self, name: str, labels: Mapping[str, str]) -> None:
        body = {"Name": name, "Driver": "bridge", "CheckDuplicate": True, "Labels": dict(labels)}
        try:
            async with self._engine.call() as docker:
                await docker.networks.create(body)
        except EngineRefused as error:
            # Another agent on this engine was faster.
            if error.status != _CONFLICT:
                raise
        else:
            log.info("network created", name=name)
