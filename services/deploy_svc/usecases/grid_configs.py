"""Configs: list, create, get, update, delete. A changed text redeploys the services that have it as a file."""

from collections.abc import Collection

from services.clients.grids import Grid
from services.deploy_svc.domain import grid_config as rules
from services.deploy_svc.domain.grid_config import Config, ConfigView
from services.deploy_svc.store import grid_configs as store
from services.deploy_svc.store import secret_usage, tables
from services.deploy_svc.usecases.parts import UseCases
from services.deploy_svc.usecases.redeploys import redeploy_users
from services.kernel import audit, call
from services.kernel.audit import Resource
from services.kernel.db import Tx
from services.kernel.errors import NotFound, Unavailable, ValidationFailed, required
from services.kernel.ids import new_id
from services.kernel.pages import WHOLE, Listing, Page
from services.kernel.principal import Principal

_ATTEMPTS = 5


class GridConfigs(UseCases):
    async def list(self, principal: Principal, grid_name: str, page: Page = WHOLE) -> Listing[ConfigView]:
        """The configs of a grid by name, without their texts."""
        grid = await self._grids.accessible(principal, grid_name)
        async with self._db.read() as tx:
            found = await store.of_grid(tx, grid.id, page)
            users = await _users(tx, grid, [config.name for config in found])
        return Listing([ConfigView(config, None, users.get(config.name, ())) for config in found], found.next)

    async def get(self, principal: Principal, path: str) -> ConfigView:
        grid_name, _, name = path.partition("/")
        grid = await self._grids.accessible(principal, grid_name)
        async with self._db.read() as tx:
            return await _view(tx, grid, *await _find(tx, grid, name))

    async def create(self, principal: Principal, grid_name: str, name: str | None, content: str | None) -> ConfigView:
        """A config that services can use from now on. Raises ValidationFailed."""
        grid = await self._grids.changeable(principal, grid_name)
        name, content = rules.check_new(name, content)
        async with self._db.transaction() as tx:
            made = await self._insert(tx, grid, name, content)
            if made is None:
                raise ValidationFailed({"name": "Config with this name already exists"})
        return ConfigView(made, content)

    async def update(
        self, principal: Principal, path: str, content: str | None, *, upsert: bool = False
    ) -> tuple[ConfigView, bool]:
        """Give it another text, or create it on request; True when it was created. The deploys of the services that
        use it are queued in the same transaction. Raises Forbidden when one of them is not the caller's to change."""
        grid_name, _, name = path.partition("/")
        grid = await self._grids.changeable(principal, grid_name)
        if not rules.is_name(name):
            raise NotFound
        async with self._db.transaction() as tx:
            # Whoever loses a race against a creation or a deletion of the name looks again.
            for _ in range(_ATTEMPTS):
                found = await store.find(tx, grid.id, name, lock=True)
                if found is not None:
                    return await self._replaced(tx, principal, grid, found, content), False
                if not upsert:
                    raise NotFound
                made = await self._insert(tx, grid, name, rules.check_content(content))
                if made is not None:
                    return ConfigView(made, content), True
        raise Unavailable("Others are changing this config. Try again in a moment.")

    async def delete(self, principal: Principal, path: str) -> None:
        """Remove a config. Raises ValidationFailed while a service uses it."""
        grid_name, _, name = path.partition("/")
        grid = await self._grids.changeable(principal, grid_name)
        async with self._db.transaction() as tx:
            config, _ = await _find(tx, grid, name, lock=True)
            call.check_if_match(config.etag)
            if users := (await _users(tx, grid, [name])).get(name):
                raise ValidationFailed({"config": f"Config {name} is used by: {', '.join(path for path, _ in users)}"})
            await store.delete(tx, config.id)
            await audit.record(tx, tables.outbox, "delete", _resource(grid, config))

    async def _insert(self, tx: Tx, grid: Grid, name: str, content: str) -> Config | None:
        await self._quotas.add_config(tx, grid.id, content)
        made = await store.insert(tx, grid_id=grid.id, grid=grid.name, name=name, content=content)
        if made is not None:
            await audit.record(tx, tables.outbox, "create", _resource(grid, made))
        return made

    async def _replaced(
        self, tx: Tx, principal: Principal, grid: Grid, found: tuple[Config, str], content: str | None
    ) -> ConfigView:
        config, before = found
        call.check_if_match(config.etag)
        after = rules.check_content(content)
        if after != before:
            # It is what their containers find, so it changes them.
            for service in await secret_usage.lock_users(tx, grid.id, "configs", config.name):
                self._hosts.check_service(principal, grid, service)
            await self._quotas.change_config(tx, grid.id, before, after)
            config = await store.replace(tx, config.id, after)
            await redeploy_users(tx, grid.id, "configs", config.name, new_id(), by=principal.email or None)
            await audit.record(tx, tables.outbox, "update", _resource(grid, config))
        return await _view(tx, grid, config, after)


async def _find(tx: Tx, grid: Grid, name: str, *, lock: bool = False) -> tuple[Config, str]:
    return required(await store.find(tx, grid.id, name, lock=lock) if rules.is_name(name) else None)


async def _view(tx: Tx, grid: Grid, config: Config, content: str) -> ConfigView:
    return ConfigView(config, content, (await _users(tx, grid, [config.name])).get(config.name, ()))


async def _users(tx: Tx, grid: Grid, names: Collection[str]) -> dict[str, tuple[tuple[str, str], ...]]:
    found: dict[str, tuple[tuple[str, str], ...]] = {}
    if names:
        for used, grid_name, stack, service in await secret_usage.users(tx, grid.id, "configs", names):
            found[used] = (*found.get(used, ()), (f"{grid_name}/{stack}/{service}", service))
    return found


def _resource(grid: Grid, config: Config) -> Resource:
    return Resource("GridConfig", config.id, config.name, grid.id, grid.name)
