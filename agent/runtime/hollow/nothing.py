"""The parts of an engine beside its containers, where there is nothing behind them."""

from collections.abc import Collection, Mapping

from agent.domain.errors import ImageUnavailable
from agent.domain.labels import InstanceKey
from agent.runtime.hollow.containers import image_id
from agent.runtime.ports import Image, Login, NamedVolume, OverlayNetwork


class HollowImages:
    """Every image is there, but those that are asked to be missing."""

    async def ensure(self, image: str, rev: str, login: Login | None) -> Image:
        if image.startswith("hollow/missing"):
            raise ImageUnavailable(f"image {image} cannot be pulled: the hollow runtime was told so")
        return Image(image_id(image))

    async def remove(self, image_id: str) -> bool:
        return True


class HollowNetworks:
    """Nobody can get at a hollow container over one."""

    async def ensure(self, name: str, labels: Mapping[str, str]) -> None:
        return

    async def ensure_overlay(
        self, grid: str, block: str, gateway: str, bridge: str, mtu: int, *, local_bridge: str
    ) -> OverlayNetwork:
        return OverlayNetwork(f"kontena-{grid}", block)

    async def ensure_local(self, grid: str, bridge: str) -> OverlayNetwork:
        return OverlayNetwork(f"kontena-{grid}")

    async def connect(self, container_id: str, network: str, aliases: Collection[str]) -> None:
        return

    async def disconnect(self, container_id: str, network: str) -> None:
        return


class HollowVolumes:
    """No data, so none that could be lost."""

    async def ensure(self, volume: NamedVolume) -> None:
        return

    async def remove(self, name: str, node_ids: Collection[str]) -> None:
        return

    async def labels_of(self, name: str) -> Mapping[str, str] | None:
        # Whatever there was before this process counts as being there.
        return {}

    async def find(self, key: InstanceKey, node_ids: Collection[str]) -> list[str]:
        return []

    async def delete(self, name: str) -> None:
        return


class HollowProbes:
    """Whoever is looked at is well."""

    async def connect(self, address: str, port: int, seconds: float) -> str:
        return ""

    async def http_status(self, address: str, port: int, uri: str, seconds: float) -> int | str:
        return 200
