"""Named volumes of the engine."""

from collections.abc import Collection
from typing import Any

from agent.domain import labels
from agent.domain.errors import ConfigInvalid, EngineRefused
from agent.runtime.docker.engine import Engine
from agent.runtime.ports import NamedVolume
from services.kernel.logs import get_logger

log = get_logger(__name__)

_NOT_FOUND = 404
# Drivers that allocate storage elsewhere take their time.
_CREATE_SECONDS = 60.0


class Volumes:
    """Makes named volumes before a container needs them: the engine itself would silently make local ones. Removes what
    it made."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def ensure(self, volume: NamedVolume) -> None:
        present = await self._shown(volume.name)
        if present is None:
            await self._create(volume)
        elif present["Driver"] != volume.driver:
            raise ConfigInvalid(
                f"volume {volume.name} exists on this node with the driver {present['Driver']}, not {volume.driver}; "
                "remove it or use another name"
            )

    async def remove(self, name: str, node_ids: Collection[str]) -> None:
        present = await self._shown(name)
        if present is None or not labels.is_ours(present.get("Labels") or {}, node_ids):
            return
        async with self._engine.call(_CREATE_SECONDS) as docker:
            volume = await docker.volumes.get(name)  # type: ignore[no-untyped-call]
            await volume.delete()
        log.info("volume removed", name=name)

    async def _shown(self, name: str) -> dict[str, Any] | None:
        try:
            async with self._engine.call() as docker:
                volume = await docker.volumes.get(name)  # type: ignore[no-untyped-call]
                shown: dict[str, Any] = await volume.show()
        except EngineRefused as error:
            if error.status == _NOT_FOUND:
                return None
            raise
        return shown

    async def _create(self, volume: NamedVolume) -> None:
        body = {
            "Name": volume.name,
            "Driver": volume.driver,
            "DriverOpts": dict(volume.driver_opts),
            "Labels": dict(volume.labels),
        }
        async with self._engine.call(_CREATE_SECONDS) as docker:
            await docker.volumes.create(body)  # type: ignore[no-untyped-call]
        log.info("volume created", name=volume.name, driver=volume.driver)
