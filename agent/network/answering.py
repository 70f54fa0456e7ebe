"""What the resolvers of this node answer: names of the endpoints that the master tells, and of those seen here."""

import asyncio
import time
from collections.abc import Callable, Collection, Mapping

from agent.domain.overlay_plan import Place
from agent.domain.own_endpoints import OwnEndpoints, endpoint_of
from agent.domain.resolver_names import Endpoint, addresses
from agent.network.memory import NetworkMemory
from kontena.deploy.v1 import assignment_pb2 as pb

# With 10,000 instances passing on takes a tenth of a second here and another one in each resolver that reads it. What
# changes meanwhile is passed on together.
_REST = 10.0


class Answering:
    """`assigned` tells the instances of this node, by id; `pass_on` tells its resolvers what is known now,
    `pass_on_here` the one that answers names of this node only. `run` must be supervised: it passes on what the master
    tells, at once, and then rests ten times as long as that took."""

    def __init__(
        self,
        memory: NetworkMemory,
        assigned: Callable[[], Collection[str]],
        pass_on: Callable[[], None],
        pass_on_here: Callable[[], None],
    ) -> None:
        self._memory = memory
        self._assigned = assigned
        self._pass_on = pass_on
        self._pass_on_here = pass_on_here
        self._own = OwnEndpoints()
        self._node_id = ""
        self._changed = asyncio.Event()

    def describe_node(self, node_id: str) -> None:
        """Who this node is; what was seen on another one is forgotten."""
        if self._node_id and self._node_id != node_id:
            self._own = OwnEndpoints()
        self._node_id = node_id

    def replace_endpoints(self, endpoints: dict[str, Endpoint]) -> None:
        """These and no others."""
        self._own.heard(self._memory.endpoints, endpoints)
        self._memory.replace_endpoints(endpoints)
        self._changed.set()

    def change_endpoints(self, upserted: Mapping[str, Endpoint], removed: Collection[str]) -> None:
        """These changed, those are gone."""
        before = self._own.seen_of(self._memory.endpoints)
        self._memory.change_endpoints(upserted, removed)
        self._own.heard(before, self._memory.endpoints)
        self._changed.set()

    def see_instance(self, assignment: pb.Assignment, status: pb.InstanceStatus) -> None:
        """An instance was looked at."""
        if self._node_id:
            self._see(assignment.instance_id, endpoint_of(assignment, status, self._node_id))

    def forget_instance(self, instance_id: str) -> None:
        """An instance left this node."""
        self._see(instance_id, None)

    def _see(self, instance_id: str, endpoint: Endpoint | None) -> None:
        if self._own.see(instance_id, endpoint):
            self._pass_on_here()

    async def run(self) -> None:
        """Never returns."""
        while True:
            await self._changed.wait()
            began = time.monotonic()
            self._pass_on()
            # Only now: what fails is tried again.
            self._changed.clear()
            await asyncio.sleep(_REST * (time.monotonic() - began))

    def answers(self, place: Place, *, told: bool) -> Mapping[str, tuple[str, ...]] | None:
        """The addresses of each name at a place. None until this process hears of endpoints, if its resolver was `told`
        before: it answers as it did, as the agent before may not have written down any more what it heard last."""
        if not self._node_id:
            return None
        here, known = self._node_id, self._memory.endpoints
        heard = self._memory.told_endpoints or not told
        if place.devices:
            return addresses(known.values(), place.grid, place.subnet, here) if heard else None
        # Only its own: others may have the same addresses.
        if not heard and not self._own.complete(self._assigned()):
            return None
        return addresses(self._own.of(known, here), place.grid, place.subnet, here)
