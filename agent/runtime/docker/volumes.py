"""Named volumes of the engine."""

import json
from collections.abc import Collection, Mapping
from typing import Any

from agent.domain import labels
from agent.domain.errors import ConfigInvalid, EngineRefused
from agent.domain.labels import InstanceKey
from agent.runtime.docker.engine import NOT_FOUND, Engine
from agent.runtime.ports import NamedVolume
from services.kernel.logs import get_logger

log = get_logger(__name__)

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
        found = await self.labels_of(name)
        if found is None or not labels.is_ours(found, node_ids):
            return
        # Data of an instance goes with the instance only, whatever somebody calls a volume of the grid.
        if found.get(labels.CONTAINER_TYPE) != labels.TYPE_DATA:
            await self.delete(name)

    async def delete(self, name: str) -> None:
        try:
            async with self._engine.call(_CREATE_SECONDS) as docker:
                await docker._query_json(f"volumes/{name}", method="DELETE")
        except EngineRefused as error:
            if error.status != NOT_FOUND:
                raise
        else:
            log.info("volume removed", name=name)

    async def labels_of(self, name: str) -> Mapping[str, str] | None:
        present = await self._shown(name)
        return None if present is None else present.get("Labels") or {}

    async def find(self, key: InstanceKey, node_ids: Collection[str]) -> list[str]:
        wanted = {
            labels.SERVICE_ID: key.service_id,
            labels.INSTANCE_NUMBER: str(key.number),
            labels.CONTAINER_TYPE: labels.TYPE_DATA,
        }
        filters = json.dumps({"label": [f"{name}={value}" for name, value in wanted.items()]})
        async with self._engine.call() as docker:
            shown = await docker._query_json("volumes", params={"filters": filters})
        found = shown.get("Volumes") or []
        return [item["Name"] for item in found if labels.is_ours(item.get("Labels") or {}, node_ids)]

    async def _shown(self, name: str) -> dict[str, Any] | None:
        return await self._engine.show(lambda docker: docker._query_json(f"volumes/{name}"))

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
