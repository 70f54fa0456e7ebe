"""The network of a node that takes no part in the one between nodes: a bridge of its own, whose names the resolver of
the node answers as it does elsewhere (docs/adr/0120)."""

from collections.abc import Callable, Mapping, Sequence

from agent.domain.overlay_plan import Place, by_itself, local_names, plan
from agent.network.resolver import Resolver
from agent.network.system import System, exists, lacks
from agent.runtime.config import GridNetwork
from agent.runtime.ports import OverlayNetwork, Runtime
from agent.state_dir import StateDir
from kontena.grid.v1 import node_session_pb2 as pb

_MTU = 1500
# The addresses of each name at a place; None while nothing is known that the resolver was not told.
Answers = Callable[[Place, Resolver], Mapping[str, tuple[str, ...]] | None]


class LocalNetwork:
    """Of one engine in one grid."""

    def __init__(self, runtime: Runtime, engine_id: str, node: pb.NodeDescription, folder: StateDir) -> None:
        self._runtime = runtime
        self._engine_id = engine_id
        self.grid_id, self._grid = node.grid_id, node.grid
        self._names = local_names(engine_id, node.grid_id)
        self._system = System(self._names, folder)
        self._place: Place | None = None
        self.resolver: Resolver | None = None

    async def bring_about(self, answers: Answers) -> GridNetwork | None:
        """The network for new containers, None where only the engine can answer names: the agent lacks something, or
        the engine is on another machine. Raises AgentError."""
        if lacks():
            return None
        network = await self._network()
        if not network.block or not exists(self._names.bridge):
            return None
        place = self._placed(network)
        if place != self._place or self.resolver is None:
            self._place, self.resolver = place, Resolver(self._names, place.gateway)
        self.answer(answers)
        await self.resolver.start()
        await self._system.apply_rules(plan(place, (), _MTU), network.former_bridges)
        return GridNetwork(network.name, place.gateway)

    def answer(self, answers: Answers) -> None:
        """Pass on what is known."""
        if self._place is not None and self.resolver is not None:
            found = answers(self._place, self.resolver)
            if found is not None:
                self.resolver.answer(found)

    async def joined(self) -> GridNetwork:
        """The network, which is there when this returns. Raises AgentError."""
        network = await self._network()
        return GridNetwork(network.name, self._placed(network).gateway)

    async def _network(self) -> OverlayNetwork:
        return await self._runtime.networks.ensure_local(self._grid, self._names.bridge)

    def _placed(self, network: OverlayNetwork) -> Place:
        return by_itself(self._engine_id, self.grid_id, self._grid, network.block)

    async def give_way(self, place: Place, answers: Answers, bridges: Sequence[str]) -> None:
        """To the network at `place`, which routes and redirects the containers of the former `bridges`. The resolver
        stays while there are some here, and answers as that of `place` does: the system remembers for minutes which
        ports of clients it has not redirected, and what is sent from them again comes to this one."""
        if self._names.bridge not in bridges:
            return await self.leave()
        if self._place == place:
            return None
        resolver = Resolver(self._names, "")
        if resolver.has_answers():
            await self._system.remove()
            self._place, self.resolver = place, resolver
            self.answer(answers)
        return None

    async def leave(self) -> None:
        """Take it away from this machine, but what the engine has of it."""
        resolver = self.resolver or Resolver(self._names, "")
        if resolver.has_answers():
            await self._system.remove()
            resolver.stop()
        self._place = self.resolver = None
