"""Networks of the engine."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from agent.domain.errors import EngineRefused
from agent.domain.labels import GRID_NAME, NETWORK_BLOCK
from agent.runtime.docker.engine import Engine
from agent.runtime.ports import Member, OverlayNetwork
from services.kernel.logs import get_logger

log = get_logger(__name__)

_CONFLICT = 409
_BRIDGE = "com.docker.network.bridge.name"


class Networks:
    """Makes the networks that containers of this node share."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        # Engines accept two networks of one name when they are asked for at once.
        self._making = asyncio.Lock()
        # When a network was last seen to be there.
        self._seen: dict[str, float] = {}
        # The same of networks with a bridge of our own, with what was seen.
        self._ours: dict[str, tuple[float, OverlayNetwork]] = {}

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

    async def ensure_overlay(
        self, grid: str, block: str, gateway: str, bridge: str, mtu: int, *, local_bridge: str
    ) -> OverlayNetwork:
        usual = f"kontena-{grid}"
        # One that the grid had under another block, or on this node alone, may have the usual name.
        names = (usual, f"{usual}-{block.partition('/')[0]}", f"{usual}-{local_bridge}")

        async def look() -> OverlayNetwork:
            shown = [await self._find(name) for name in names]
            own = next((each for each in shown if each is not None and _labelled(each) == block), None)
            if own is None:
                if shown[0] is not None and not shown[0].get("Containers"):
                    await self._remove(shown[0]["Id"])
                    shown[0] = None
                own = await self._made(names[shown[0] is not None], _overlay(grid, block, gateway, bridge, mtu))
            return _described(own, shown)

        return await self._shared(bridge, look)

    async def ensure_local(self, grid: str, bridge: str) -> OverlayNetwork:
        usual = f"kontena-{grid}"

        async def look() -> OverlayNetwork:
            shown = [await self._find(name) for name in (usual, f"{usual}-{bridge}")]
            own = next((each for each in shown if each is not None and _bridge(each) == bridge), None)
            if own is None:
                # One with a bridge of a name is that of another agent on this engine.
                if shown[0] is not None and not shown[0].get("Containers") and not _named_bridge(shown[0]):
                    await self._remove(shown[0]["Id"])
                    shown[0] = None
                name = usual if shown[0] is None else f"{usual}-{bridge}"
                own = await self._made(name, {"Labels": {GRID_NAME: grid}, "Options": {_BRIDGE: bridge}})
            return _described(own, shown)

        return await self._shared(bridge, look)

    async def _shared(self, bridge: str, look: Callable[[], Awaitable[OverlayNetwork]]) -> OverlayNetwork:
        """What a look at a network with a bridge of our own finds: one answers all who asked before it."""
        asked = time.monotonic()
        async with self._making:
            if bridge not in self._ours or self._ours[bridge][0] < asked:
                looked = time.monotonic()
                self._ours[bridge] = looked, await look()
            return self._ours[bridge][1]

    async def _made(self, name: str, body: Mapping[str, Any]) -> dict[str, Any]:
        await self._create(name, body)
        return await self._find(name) or {"Name": name, "Id": ""}

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
        "Options": {_BRIDGE: bridge, "com.docker.network.driver.mtu": str(mtu)},
    }


def _described(own: Mapping[str, Any], shown: Sequence[Mapping[str, Any] | None]) -> OverlayNetwork:
    """The network `own`, beside those that were there."""
    others = [each for each in shown if each is not None and each["Name"] != own["Name"] and each.get("Containers")]
    configs: Sequence[Mapping[str, Any]] = (own.get("IPAM") or {}).get("Config") or ({},)
    block = str(configs[0].get("Subnet", ""))
    return OverlayNetwork(own["Name"], block, tuple(_bridge(each) for each in others), tuple(_members(own)))


def _labelled(shown: Mapping[str, Any]) -> str:
    return str((shown.get("Labels") or {}).get(NETWORK_BLOCK, ""))


def _bridge(shown: Mapping[str, Any]) -> str:
    """The device of a bridge network, which the engine names itself unless it is told."""
    return _named_bridge(shown) or f"br-{shown['Id'][:12]}"


def _named_bridge(shown: Mapping[str, Any]) -> str:
    return str((shown.get("Options") or {}).get(_BRIDGE, ""))
