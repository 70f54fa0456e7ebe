"""From a container to its successor that runs beside it (`order: start_first`): when it is ready, and when the one of
before may go."""

import asyncio
from collections.abc import Callable

from agent.domain.errors import NotReady
from agent.domain.health import HEALTHY, check_of
from agent.domain.status import exit_words
from agent.health import HealthMonitor
from agent.port_wait import wait_for_port
from agent.runtime.ports import Container
from agent.site import Site
from kontena.deploy.v1 import assignment_pb2 as pb

_LOOK_SECONDS = 0.2


class Handover:
    """Of one instance. `health` learns of the successor what was found before it got its place; `report` tells the
    master of it."""

    def __init__(self, site: Site, health: HealthMonitor, report: Callable[[pb.Assignment, Container], None]) -> None:
        self._site = site
        self._health = health
        self._report = report

    async def ready(self, pod: pb.Pod, container_id: str) -> Container:
        """The successor, once it may be used: its port has opened, or it has stayed up for a moment, and its health
        check, if there is one, found it well. Raises NotReady."""
        container = await self._running(container_id)
        if pod.wait_for_port:
            address = container.address or "127.0.0.1"
            await wait_for_port(self._site.runtime.probes, address, pod.wait_for_port, self._site.port_wait)
        else:
            await asyncio.sleep(self._site.settle)
        container = await self._running(container_id)
        if check_of(container.labels) is not None:
            await self._well(container)
        return container

    async def switch(self, assignment: pb.Assignment, successor: Container) -> None:
        """Tell of the successor, and return when nobody should be sent to the one of before any more."""
        if check_of(successor.labels) is not None:
            self._health.look(successor)
            self._health.health = HEALTHY
        self._report(assignment, successor)
        await asyncio.sleep(self._site.drain)

    async def _well(self, container: Container) -> None:
        clock, longest = asyncio.get_running_loop(), self._site.port_wait
        deadline = clock.time() + longest
        # Apart from those of the container of before, which is as well as it was while it serves.
        checks = HealthMonitor(self._site.runtime, lambda: None)
        checks.begin(container, fresh=True)
        try:
            while checks.health != HEALTHY:
                if clock.time() > deadline:
                    raise NotReady(f"not healthy within {longest:.0f} s: {checks.problem or 'not checked yet'}")
                await asyncio.sleep(_LOOK_SECONDS)
                await self._running(container.id)
        finally:
            checks.cancel()

    async def _running(self, container_id: str) -> Container:
        container = await self._site.runtime.containers.inspect(container_id)
        if container is None:
            raise NotReady("the container was removed before it was ready")
        if not container.running:
            raise NotReady(f"the container ended by itself with {exit_words(container)} before it was ready")
        return container
