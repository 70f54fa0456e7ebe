"""What users do with grids. Everything is written with its effects in one transaction, after all remote questions."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from services.grid_svc.clients import memberships
from services.grid_svc.clients.counts import Counts, Usage
from services.grid_svc.domain.grid import DEFAULT_SUBNET, DEFAULT_SUPERNET, Grid, GridCounts
from services.grid_svc.domain.grid_input import (
    NAME_TAKEN,
    NOT_ALLOWED,
    GridChanges,
    NewGrid,
    check_changes,
    check_new,
    deeper_errors,
    logs_of,
    network_of,
    statsd_of,
)
from services.grid_svc.domain.join_token import NOT_USABLE, check_token, random_token
from services.grid_svc.domain.names import random_name
from services.grid_svc.domain.network import DEFAULT_NETWORK, NODE_PREFIX_FIXED, Network, check
from services.grid_svc.store import grids as store
from services.grid_svc.store import nodes as node_store
from services.grid_svc.store import tables
from services.grid_svc.store.channels import grid_changed
from services.grid_svc.usecases.access import accessible
from services.grid_svc.usecases.destinations import Destinations
from services.grid_svc.usecases.grid_reads import GridReads
from services.grid_svc.usecases.join_tokens import JoinTokens
from services.kernel import audit, call
from services.kernel.db import Database, Tx
from services.kernel.errors import ValidationFailed, required
from services.kernel.ids import new_id
from services.kernel.pages import WHOLE, Listing, Page
from services.kernel.principal import Principal

_NAME_TRIES = 50


@dataclass(frozen=True, slots=True)
class GridView:
    """A grid with what it holds."""

    grid: Grid
    counts: GridCounts


class Grids:
    """The verbs of grids. Only a deletion asks another service, deploy_svc, and fails when that does not answer."""

    def __init__(
        self,
        db: Database,
        tokens: JoinTokens,
        counts: Counts,
        usage: Usage,
        destinations: Destinations,
        *,
        reads: GridReads,
    ) -> None:
        self._db = db
        self._tokens = tokens
        self._counts = counts
        self._usage = usage
        self._destinations = destinations
        self._chance = random.SystemRandom()
        self._reads = reads

    async def list(self, principal: Principal, page: Page = WHOLE) -> Listing[GridView]:
        """The grids the caller may see, sorted by name: one query for any number."""
        async with self._db.read() as tx:
            ids = None if principal.sees_all_grids else principal.grid_ids
            found = await store.with_node_counts(tx, ids, page)
        shown = partial(self._tokens.shown_to, principal)
        return found.map(lambda one: GridView(shown(one[0]), self._counts.of(one[0].id, one[1])))

    async def get(self, principal: Principal, name: str) -> GridView:
        """One grid. Raises NotFound, Forbidden."""
        grid, nodes = await self._reads.one(principal, name)
        return GridView(self._tokens.shown_to(principal, grid), self._counts.of(grid.id, nodes))

    async def create(self, principal: Principal, given: NewGrid) -> GridView:
        """A new grid, of which the caller becomes a member. master_admin only. Raises ValidationFailed."""
        checked = check_new(given)
        errors = {} if principal.is_master_admin else {"user": NOT_ALLOWED}
        errors |= deeper_errors(checked)
        errors |= await self._closed(checked.changes, None)
        errors |= _network_errors(
            checked.subnet or DEFAULT_SUBNET, network_of(checked.changes.network, DEFAULT_NETWORK), errors
        )
        if errors:
            if checked.name is not None and await self._exists(checked.name):
                errors["grid"] = NAME_TAKEN.format(checked.name)
            raise ValidationFailed(errors)
        async with self._db.transaction() as tx:
            grid = await self._insert(tx, checked)
            await memberships.add_member(tx, tables.outbox, grid.id, principal.user_id)
            await self._record(tx, "create", grid)
        # Nothing can be in it yet but its creator, whose membership is on its way to auth_svc.
        self._counts.made(grid.id, users=1)
        return GridView(self._tokens.shown_to(principal, grid), GridCounts(users=1))

    async def update(self, principal: Principal, name: str, given: GridChanges) -> GridView:
        """Change the given attributes. Raises NotFound, Forbidden, ValidationFailed."""
        before = await self.get(principal, name)
        checked = check_changes(given)
        errors = {} if principal.is_grid_admin(before.grid.id) else {"user": NOT_ALLOWED}
        errors |= deeper_errors(NewGrid(changes=checked))
        errors |= await self._closed(checked, before.grid)
        if errors:
            raise ValidationFailed(errors)
        async with self._db.transaction() as tx:
            locked = required(await store.lock(tx, before.grid.id))
            call.check_if_match(locked.etag)
            changed = _changed(locked, checked)
            await self._check_network(tx, locked, changed)
            grid = await store.update(tx, changed)
            await self._record(tx, "update", grid)
        return GridView(self._tokens.shown_to(principal, grid), before.counts)

    async def _closed(self, checked: GridChanges, before: Grid | None) -> Mapping[str, Any]:
        """What may not be sent where it is to go from now on; what a grid had before stays."""
        statsd, logs = statsd_of(checked.stats), logs_of(checked.logs)
        if before is not None:
            statsd, logs = (None if statsd == before.statsd else statsd), (None if logs == before.logs else logs)
        return await self._destinations.errors(statsd, logs)

    @staticmethod
    async def _check_network(tx: Tx, before: Grid, after: Grid) -> None:
        """Raises ValidationFailed when the network may not change so. No node joins meanwhile: the grid is locked."""
        if before.network == after.network:
            return
        errors = _network_errors(after.subnet, after.network, {})
        moved = before.blocks.prefix != after.blocks.prefix
        if not errors and moved and await node_store.count(tx, before.id):
            errors = {"network": {"node_prefix": NODE_PREFIX_FIXED}}
        if errors:
            raise ValidationFailed(errors)

    async def rotate_token(self, principal: Principal, name: str, token: str | None) -> GridView:
        """Replace the join token. Open sessions go on. Raises NotFound, Forbidden, ValidationFailed."""
        before = await self.get(principal, name)
        checked = check_token(token)
        if not principal.is_grid_admin(before.grid.id):
            raise ValidationFailed({"user": NOT_ALLOWED})
        async with self._db.transaction() as tx:
            required(await store.lock(tx, before.grid.id))
            new = self._tokens.stored(before.grid.id, checked or random_token())
            grid = await store.rotate_token(tx, before.grid.id, new)
            if grid is None:
                raise ValidationFailed({"token": NOT_USABLE})
            await self._record(tx, "rotate token", grid)
        return GridView(self._tokens.shown_to(principal, grid), before.counts)

    async def delete(self, principal: Principal, name: str) -> None:
        """Remove a grid without nodes and services. master_admin only. Raises NotFound, Forbidden, ValidationFailed."""
        async with self._db.read() as tx:
            grid = await accessible(tx, principal, name)
        errors = {} if principal.is_master_admin else {"user": NOT_ALLOWED}
        if await self._usage.services(grid.id):
            errors["grid"] = "Grid has services"
        async with self._db.transaction() as tx:
            # Locked, so that no node joins between the look and the deletion.
            locked = required(await store.lock(tx, grid.id))
            call.check_if_match(locked.etag)
            if await node_store.count(tx, grid.id):
                errors["grid"] = "Grid has nodes"
            if errors:
                raise ValidationFailed(errors)
            await store.delete(tx, grid.id)
            await memberships.remove_all(tx, tables.outbox, grid.id)
            await self._record(tx, "delete", grid)

    async def _insert(self, tx: Tx, checked: NewGrid) -> Grid:
        for attempt in range(_NAME_TRIES):
            name = checked.name or random_name(self._chance, attempt)
            new = _new(checked, name)
            token = self._tokens.stored(new.id, checked.token or random_token())
            grid = await store.insert(tx, replace(new, stored_token=token))
            if grid is not None:
                return grid
            if await store.find(tx, name) is None:
                raise ValidationFailed({"token": NOT_USABLE})
            if checked.name is not None:
                break
        raise ValidationFailed({"grid": NAME_TAKEN.format(name)})

    async def _exists(self, name: str) -> bool:
        async with self._db.read() as tx:
            return await store.find(tx, name) is not None

    async def _record(self, tx: Tx, event: str, grid: Grid) -> None:
        await grid_changed(tx, grid.id)
        await audit.record(tx, tables.outbox, event, audit.Resource("Grid", grid.id, grid.name, grid.id, grid.name))


def _network_errors(subnet: str, network: Network, known: Mapping[str, Any]) -> dict[str, Any]:
    """What is wrong with the network of a grid, unless its subnet is."""
    problem = None if "subnet" in known else check(subnet, network)
    return {} if problem is None else {"network": {"node_prefix": problem}}


def _new(checked: NewGrid, name: str) -> Grid:
    grid = Grid(
        id=new_id(),
        name=name,
        initial_size=checked.initial_size or 1,
        subnet=checked.subnet or DEFAULT_SUBNET,
        supernet=checked.supernet or DEFAULT_SUPERNET,
    )
    return _changed(grid, checked.changes)


def _changed(grid: Grid, changes: GridChanges) -> Grid:
    affinity, trusted = changes.default_affinity, changes.trusted_subnets
    return replace(
        grid,
        default_affinity=grid.default_affinity if affinity is None else tuple(affinity),
        trusted_subnets=grid.trusted_subnets if trusted is None else tuple(trusted),
        statsd=grid.statsd if changes.stats is None else statsd_of(changes.stats),
        logs=grid.logs if changes.logs is None else logs_of(changes.logs),
        network=network_of(changes.network, grid.network),
        host_access=changes.host_access or grid.host_access,
    )
