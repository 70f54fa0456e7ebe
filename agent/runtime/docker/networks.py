"""Networks of the engine."""

import asyncio
import time
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from agent.domain.errors import EngineRefused
from agent.domain.labels import GRID_NAME, NETWORK_BLOCK
from agent.runtime.docker.engine import Engine
from agent.runtime.ports import Member, OverlayNetwork
from services.kernel.logs import get_logger

log = get_logger(__name__)

_CONFLICT = 409


class Networks:
    """Makes the networks that containers of this node share."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        # Engines accept two networks of one name when they are asked for at once.
        self._making = asyncio.Lock()
        # When a network was last seen to be there.
        self._seen: dict[str, float] = {}

    async def ensure(self, name: str, labels: Mapping[str, str]) -> None:
        asked = time.monotonic()
        async with self._making:
            # One look answers all who asked before it.
            if self._seen.get(name, -1.0) < asked:
                looked = time.monotonic()
                if await self._find(name) is None:
                    await self._create(name, {"Labels": dict(labels)})
                self._seen[name] = looked

    async def connect(self, container_id: str, network: str, aliases: Collection[str]) -> None:
        body = {"Container": container_id, "EndpointConfig": {"Aliases": sorted(aliases)}}
        async with self._engine.call() as docker:
            await (await docker.networks.get(network)).connect(body)

    async def disconnect(self, container_id: str, network: str) -> None:
        async with self._engine.call() as docker:
            await (await docker.networks.get(network)).disconnect({"Container": container_id})

    async def ensure_overlay(self, grid: str, block: str, gateway: str, bridge: str, mtu: int) -> OverlayNetwork:
        usual = f"kontena-{grid}"
        # One that the grid had under another block, or on this node alone, may have the usual name.
        names = (usual, f"{usual}-{block.partition('/')[0]}")
        async with self._making:
            shown = [await self._find(name) for name in names]
            own = next((each for each in shown if each is not None and _block(each) == block), None)
            if own is None:
                if shown[0] is not None and not shown[0].get("Containers"):
                    await self._remove(shown[0]["Id"])
                    shown[0] = None
                name = names[0] if shown[0] is None else names[1]
                await self._create(name, _overlay(grid, block, gateway, bridge, mtu))
                members: tuple[Member, ...] = ()
            else:
                name, members = own["Name"], tuple(_members(own))
            others = [each for each in shown if each is not None and each["Name"] != name and each.get("Containers")]
        return OverlayNetwork(name, tuple(_bridge(each) for each in others), members)

    async def _find(self, name: str) -> dict[str, Any] | None:
        return await self._engine.show(lambda docker: docker._query_json(f"networks/{name}"))

    async def _remove(self, network_id: str) -> None:
        async with self._engine.call() as docker:
            await (await docker.networks.get(network_id)).delete()

    async def _create(self, name: str, more: Mapping[str, Any]) -> None:
        body = {"Name": name, "Driver": "bridge", "CheckDuplicate": True, **more}
        try:
            async with self._engine.call() as docker:
                await docker.networks.create(body)
        except EngineRefused as error:
            # Another agent on this engine was faster.
            if error.status != _CONFLICT:
                raise
        else:
            log.info("network created", name=name)


def _members(shown: Mapping[str, Any]) -> Iterator[Member]:
    for container_id, entry in (shown.get("Containers") or {}).items():
        address = str(entry.get("IPv4Address") or "").partition("/")[0]
        if address and entry.get("MacAddress"):
            yield Member(container_id, str(entry["MacAddress"]).lower(), address)


def _overlay(grid: str, block: str, gateway: str, bridge: str, mtu: int) -> dict[str, Any]:
    return {
        "Labels": {GRID_NAME: grid, NETWORK_BLOCK: block},
        "IPAM": {"Config": [{"Subnet": block, "Gateway": gateway}]},
        "Options": {"com.docker.network.bridge.name": bridge, "com.docker.network.driver.mtu": str(mtu)},
    }


def _block(shown: Mapping[str, Any]) -> str:
    return str((shown.get("Labels") or {}).get(NETWORK_BLOCK, ""))


def _bridge(shown: Mapping[str, Any]) -> str:
    """The device of a bridge network, which the engine names itself unless it is told."""
    named = (shown.get("Options") or {}).get("com.docker.network.bridge.name", "")
    return str(named) or f"br-{shown['Id'][:12]}"
