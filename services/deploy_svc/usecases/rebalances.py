"""Bring services to lie evenly on their nodes: what would move, and a deploy that moves just that."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from services.clients.grids import Grid
from services.deploy_svc.domain.rebalanced import Rebalanced
from services.deploy_svc.domain.scheduling.rebalance import Rebalance
from services.deploy_svc.domain.service import Service
from services.deploy_svc.domain.service_deploy import Asked
from services.deploy_svc.store import instances, reconciles, tables
from services.deploy_svc.store import service_deploys as deploy_store
from services.deploy_svc.store import services as service_store
from services.deploy_svc.usecases.dry_runs import DryRuns
from services.deploy_svc.usecases.parts import Parts, UseCases
from services.deploy_svc.usecases.service_paths import resource
from services.kernel import audit
from services.kernel.db import Tx
from services.kernel.errors import required
from services.kernel.principal import Principal

# Of a grid, so many services at most are deployed by one request.
_MOST_SERVICES = 50


class Rebalances(UseCases):
    """The use cases. Nothing is moved but by deploys, which can be followed and canceled as any other one."""

    def __init__(self, parts: Parts, dry_runs: DryRuns) -> None:
        super().__init__(parts)
        self._dry_runs = dry_runs

    async def plan(self, principal: Principal, path: str) -> Rebalanced:
        """What would move of a service now. Nothing is written."""
        grid, service = await self._access.changeable(principal, path)
        async with self._db.read() as tx:
            (found,) = await self._planned(tx, grid, [service])
        return found

    async def service(self, principal: Principal, path: str) -> Rebalanced:
        """Queue a deploy that moves what has to move, if anything does."""
        return await self._begin(principal, await self.plan(principal, path))

    async def plan_grid(self, principal: Principal, name: str) -> list[Rebalanced]:
        """What would move of each service of a grid that the caller may change, as far as something would."""
        grid = await self._grids.changeable(principal, name)
        async with self._db.read() as tx:
            services = await service_store.of_grid(tx, grid.id)
            allowed = [one for one in services if self._access.hosts.may_change(principal, grid, one)]
            return [one for one in await self._planned(tx, grid, allowed) if one.rebalance.moves]

    async def grid(self, principal: Principal, name: str) -> list[Rebalanced]:
        """The same, each with a deploy that moves it: of at most 50 services, those that were made last."""
        planned = (await self.plan_grid(principal, name))[:_MOST_SERVICES]
        return [await self._begin(principal, one) for one in planned]

    async def _begin(self, principal: Principal, found: Rebalanced) -> Rebalanced:
        """Queue the moves, unless the service changed meanwhile. Each move is judged again when it is its turn."""
        if not found.rebalance.moves:
            return found
        async with self._db.transaction() as tx:
            service = required(await service_store.find_by_id(tx, found.service.id, lock=True))
            if reason := (await self._not_now(tx, [service])).get(service.id):
                return Rebalanced(service, Rebalance(reason=reason))
            moves = {move.instance_number: move.node_id for move in found.rebalance.moves}
            deploy_id = await deploy_store.insert(tx, service.id, Asked("rebalance", principal.email or None), moves)
            await audit.record(tx, tables.outbox, "rebalance", resource(service))
            return replace(found, deploy=required(await deploy_store.find(tx, service.id, deploy_id)))

    async def _planned(self, tx: Tx, grid: Grid, services: Sequence[Service]) -> list[Rebalanced]:
        world = await self._dry_runs.world(tx, grid, services)
        reasons = await self._not_now(tx, services)
        found = []
        for service in services:
            reason = reasons.get(service.id)
            rebalance = Rebalance(reason=reason) if reason else await world.rebalance(tx, service)
            found.append(Rebalanced(service, rebalance))
            # Placing is computing: others must get their turn in between.
            await asyncio.sleep(0)
        return found

    async def _not_now(self, tx: Tx, services: Sequence[Service]) -> dict[str, str]:
        """Why it makes no sense to move anything of some of the services now, by id."""
        ids = [service.id for service in services]
        busy, mixed = await reconciles.deploying(tx, ids), await instances.with_other_revisions(tx, ids)
        found: dict[str, str] = {}
        for service in services:
            if service.state != "running":
                found[service.id] = f"The service is {service.state}: only what runs is moved"
            elif service.id in busy:
                found[service.id] = "A deploy of the service is under way: ask again when it has ended"
            elif service.id in mixed:
                found[service.id] = f"Revision {service.revision} does not run everywhere yet: deploy the service first"
        return found
