"""Keeps the nodes of a grid to those who may use them: `host_access` of the grid says who that is."""

import posixpath
from collections.abc import Iterable
from dataclasses import dataclass

from services.clients.grids import ADMINS, Grid
from services.deploy_svc.domain import host_access as rules
from services.deploy_svc.domain.host_access import Found
from services.deploy_svc.domain.host_level import volume_options
from services.deploy_svc.domain.pod import Pod
from services.deploy_svc.domain.rollout_plan import Good
from services.deploy_svc.domain.service import Service
from services.deploy_svc.domain.service_spec import ServiceSpec
from services.deploy_svc.domain.volume import GridVolume, Mount, VolumeInput
from services.deploy_svc.store import good_specs
from services.deploy_svc.store import instances as instance_store
from services.deploy_svc.store import services as service_store
from services.kernel.db import Tx
from services.kernel.errors import Forbidden
from services.kernel.principal import Principal


@dataclass(frozen=True, slots=True)
class Deployed:
    """A service with all that a container of it may have been made of: the last good spec, the pods of now."""

    service: Service
    good: Good | None
    pods: tuple[Pod, ...]


class HostAccess:
    """Every check raises Forbidden, which names attribute and setting. `open_paths` are paths of nodes that every
    member may mount."""

    def __init__(self, open_paths: Iterable[str] = ()) -> None:
        self._open = frozenset(posixpath.normpath(path) for path in open_paths)

    def check_spec(
        self, principal: Principal, grid: Grid, name: str, spec: ServiceSpec, mounts: Iterable[Mount]
    ) -> None:
        """The caller may give a service these attributes."""
        if not _may(principal, grid):
            _refuse(grid, rules.of_service(spec, mounts, self._open), f"of the service {name} reach the node")

    def check_service(self, principal: Principal, grid: Grid, service: Service) -> None:
        """The caller may change, deploy or start the service as it is."""
        self.check_spec(principal, grid, service.name, service.spec, service.mounts)

    def reach(self, service: Service) -> str:
        """What of the service reaches the node, for people; empty when nothing does."""
        return rules.told(rules.of_service(service.spec, service.mounts, self._open))

    def may_change(self, principal: Principal, grid: Grid, service: Service) -> bool:
        """Whether `check_service` passes."""
        try:
            self.check_service(principal, grid, service)
        except Forbidden:
            return False
        return True

    def check_container(self, principal: Principal, grid: Grid, deployed: Deployed | None) -> None:
        """The caller may run commands in a container of what is deployed. Nobody knows what one has that belongs to
        no service."""
        if _may(principal, grid):
            return
        if deployed is None:
            raise Forbidden(
                f"Only admins of the grid run commands in containers that belong to no service: {_setting(grid)}",
                reason="HOST_ACCESS",
            )
        service = deployed.service
        self.check_service(principal, grid, service)
        if deployed.good is not None:
            self.check_spec(principal, grid, service.name, deployed.good.spec, deployed.good.mounts)
        for pod in deployed.pods:
            _refuse(grid, rules.of_pod(pod, self._open), "of the container reach the node")

    def check_volume(self, principal: Principal, grid: Grid, given: VolumeInput | GridVolume) -> None:
        """The caller may make or remove this volume."""
        if not _may(principal, grid) and volume_options(given.driver, given.driver_opts):
            _refuse(grid, {"driver_opts": tuple(given.driver_opts)}, f"of the volume {given.name} reach the node")


async def deployed(tx: Tx, grid_id: str, service_id: str | None) -> Deployed | None:
    """What is deployed of a service of the grid; None when there is no such service."""
    service = await service_store.find_by_id(tx, service_id) if service_id else None
    if service is None or service.grid_id != grid_id:
        return None
    pods = [instance.pod for instance in await instance_store.of_service(tx, service.id)]
    good = await good_specs.of_service(tx, service.id)
    return Deployed(service, good, tuple(pod for pod in pods if pod is not None))


def _may(principal: Principal, grid: Grid) -> bool:
    return grid.host_access != ADMINS or principal.is_grid_admin(grid.id)


def _refuse(grid: Grid, found: Found, where: str) -> None:
    if found:
        raise Forbidden(
            f"{rules.told(found)} {where}, which only admins of the grid may use: {_setting(grid)}",
            reason="HOST_ACCESS",
        )


def _setting(grid: Grid) -> str:
    return f"host_access of grid {grid.name} is {ADMINS}"
