"""Volumes: list, create, get, delete (docs/spec/deploy_rest.md section 11)."""

import asyncio
from collections.abc import Mapping
from typing import Any

from services.clients.grids import Grid
from services.deploy_svc.domain.volume import GridVolume, VolumeView, parse
from services.deploy_svc.store import tables
from services.deploy_svc.store import volumes as store
from services.deploy_svc.usecases.parts import Parts, UseCases
from services.kernel import audit
from services.kernel.audit import Resource
from services.kernel.db import Tx
from services.kernel.errors import NotFound, ValidationFailed, required
from services.kernel.pages import WHOLE, Listing, Page
from services.kernel.principal import Principal
from services.kernel.validation import NAME


class Volumes(UseCases):
    def __init__(self, parts: Parts, removals: asyncio.Event) -> None:
        """`removals` is set when there is something for nodes to remove."""
        super().__init__(parts)
        self._removals = removals

    async def list(self, principal: Principal, grid_name: str, page: Page = WHOLE) -> Listing[VolumeView]:
        """The volumes of a grid in the order of creation."""
        grid = await _named(grid_name, self._grids.accessible(principal, grid_name))
        async with self._db.read() as tx:
            found = await store.of_grid(tx, grid.id, page)
            return Listing(await _views(tx, grid, found), found.next)

    async def get(self, principal: Principal, path: str) -> VolumeView:
        grid_name, _, name = path.partition("/")
        grid = await _named(grid_name, self._grids.accessible(principal, grid_name))
        async with self._db.read() as tx:
            return (await _views(tx, grid, [await _find(tx, grid, name)]))[0]

    async def create(self, principal: Principal, grid_name: str, attributes: Mapping[str, Any]) -> VolumeView:
        """A volume that services can mount from now on. Raises ValidationFailed."""
        grid = await _named(grid_name, self._grids.changeable(principal, grid_name))
        given = parse(attributes)
        self._hosts.check_volume(principal, grid, given)
        async with self._db.transaction() as tx:
            await self._quotas.add_volume(tx, grid.id)
            volume = await store.insert(
                tx,
                grid_id=grid.id,
                grid=grid.name,
                name=given.name,
                scope=given.scope,
                driver=given.driver,
                driver_opts=dict(given.driver_opts),
            )
            if volume is None:
                raise ValidationFailed({"name": "Volume with this name already exists"})
            await audit.record(tx, tables.outbox, "create", _resource(grid, volume))
        return VolumeView(volume)

    async def delete(self, principal: Principal, path: str) -> None:
        """Forget a volume; nodes remove theirs, with the data. Raises ValidationFailed while a service mounts it."""
        grid_name, _, name = path.partition("/")
        grid = await _named(grid_name, self._grids.changeable(principal, grid_name))
        async with self._db.transaction() as tx:
            volume = await _find(tx, grid, name, lock=True)
            self._hosts.check_volume(principal, grid, volume)
            if users := (await store.users(tx, grid.id)).get(volume.id):
                raise ValidationFailed({volume.name: f"Volume is used by: {', '.join(users)}"})
            await store.delete(tx, volume.id)
            await audit.record(tx, tables.outbox, "delete", _resource(grid, volume))
        self._removals.set()


async def _named(name: str, grid: Any) -> Grid:
    """The grid, with the message of these endpoints when there is none."""
    try:
        found: Grid = await grid
    except NotFound:
        raise NotFound(f"Grid {name} not found") from None
    return found


async def _find(tx: Tx, grid: Grid, name: str, *, lock: bool = False) -> GridVolume:
    return required(
        await store.find(tx, grid.id, name, lock=lock) if NAME.fullmatch(name) else None, f"Volume {name} not found"
    )


async def _views(tx: Tx, grid: Grid, found: list[GridVolume]) -> list[VolumeView]:
    instances = await store.instances(tx, [volume.id for volume in found])
    users = await store.users(tx, grid.id)
    return [
        VolumeView(volume, tuple(instances.get(volume.id, ())), tuple(users.get(volume.id, ()))) for volume in found
    ]


def _resource(grid: Grid, volume: GridVolume) -> Resource:
    return Resource("Volume", volume.id, volume.name, grid.id, grid.name)
