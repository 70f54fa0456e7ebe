"""Keeps the network of the grid on this node as the master describes it: what containers join, the ways to the other
nodes, the resolver."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from agent.domain.errors import AgentError
from agent.domain.overlay_plan import Overlay, Place, container_mtu, local_names, names_of, overlaps, plan
from agent.network import lock
from agent.network.answering import Answering
from agent.network.keys import KeyPair
from agent.network.local import LocalNetwork
from agent.network.memory import NetworkMemory
from agent.network.ports import Ports
from agent.network.resolver import RUN_DIR, Resolver
from agent.network.system import System, exists, lacks, lacks_encryption
from agent.runtime.config import GridNetwork, grid_network
from agent.runtime.ports import OverlayNetwork, Runtime
from agent.state_dir import StateDir
from kontena.grid.v1 import node_session_pb2 as pb
from services.kernel.logs import get_logger
from services.kernel.loops import Supervisor

log = get_logger(__name__)

OVERLAY, LOCAL = "overlay", "local"
# How often the system is compared with what should be there; what the master says is brought about at once.
TURN_SECONDS = 4.0
_PATIENCE_SECONDS = 15.0
_GATHER_SECONDS = 0.2
_ROTATE = "rotate-network-key"


@dataclass(frozen=True, slots=True)
class NetworkSettings:
    """`enabled` false: containers of this node stay on its own bridge, which `engine_id` names. `assigned` tells the
    instances of this node, by id."""

    engine_id: str
    assigned: Callable[[], Collection[str]]
    enabled: bool
    wireguard_port: int
    vxlan_port: int


@dataclass(frozen=True, slots=True)
class _State:
    """What is told to the master when it changes."""

    state: str = LOCAL
    problems: tuple[str, ...] = ()
    resolver_running: bool = False
    public_key: str = ""
    private_ip: str = ""


class Network:
    """Must be supervised. Where the network cannot work, containers join a bridge of this node, and
    the report says why. `news` is set when the master should hear of something; `names` hears of endpoints."""

    def __init__(
        self, runtime: Runtime, folder: StateDir, settings: NetworkSettings, private_ip: Callable[[], Awaitable[str]]
    ) -> None:
        self._runtime = runtime
        self._settings = settings
        self._private_ip = private_ip
        self._folder = folder
        self._keys = KeyPair(folder)
        self._memory = NetworkMemory(folder)
        self.names = Answering(self._memory, settings.assigned, self._answer, self._answer_here)
        self._rotate = folder.path / _ROTATE
        self._node: pb.NodeDescription | None = None
        self._place: Place | None = None
        self._system: System | None = None
        self._resolver: Resolver | None = None
        self._ports: Ports | None = None
        self._overlay: Overlay | None = None
        self._joined: GridNetwork | None = None
        # Of the way to other machines, as it was seen last.
        self._mtu = 0
        # Of networks that the grid had on this node before, which still have containers.
        self._former_bridges: tuple[str, ...] = ()
        self._local: LocalNetwork | None = None
        # The network for new containers while the node keeps to itself.
        self._alone: GridNetwork | None = None
        self._decided = asyncio.Event()
        self._state = _State()
        self._starts = asyncio.Event()
        self.wake = asyncio.Event()
        self.news = asyncio.Event()

    def supervise(self, supervisor: Supervisor) -> None:
        """Add the background loops."""
        supervisor.every("network", TURN_SECONDS, self.turn, self.wake)
        supervisor.add("network ports", self._guard_started)
        supervisor.add("network names", self.names.run)

    # What others tell.

    def describe_node(self, node: pb.NodeDescription) -> None:
        """Who this node is, and the settings of its grid."""
        if self._node is not None and self._node.id != node.id:
            self._memory.forget()
            self._decided.clear()
            self._alone = None
        self._node = node
        self.names.describe_node(node.id)
        self.wake.set()

    def update_peers(self, update: pb.PeerUpdate) -> None:
        """The peers changed."""
        self._memory.update_peers(update)
        self.wake.set()

    # What others ask.

    async def join(self) -> GridNetwork:
        """The network for a new container of the grid; it is there when this returns. Raises AgentError."""
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                await self._decided.wait()
        except TimeoutError:
            log.warning("the network of the grid is not decided yet")
        joined = self._joined
        if joined is not None and self._place is not None:
            await self._ensure(self._place)
            return joined
        if self._alone is not None and self._local is not None:
            alone = await self._local.joined()
            if alone != self._alone:
                # It was taken away and made anew: its resolver has to follow.
                self.wake.set()
            return alone
        return GridNetwork(grid_network(self._grid))

    def started(self) -> None:
        """A container of the grid was started: it is to speak under its own addresses only."""
        self._starts.set()

    @property
    def _grid(self) -> str:
        return "" if self._node is None else self._node.grid

    def node_network(self) -> pb.NodeNetwork:
        """What other nodes need to reach the containers of this one; before anything is decided, as it was before."""
        if not (self._state.state == OVERLAY if self._decided.is_set() else self._memory.took_part):
            return pb.NodeNetwork()
        encrypts = not lacks_encryption()
        return pb.NodeNetwork(
            public_key=self._keys.public if encrypts else "",
            wireguard_port=self._settings.wireguard_port if encrypts else 0,
            vxlan_port=self._settings.vxlan_port,
        )

    async def report(self) -> pb.NetworkReport:
        """How it is."""
        traffic = [] if self._system is None or self._overlay is None else await self._traffic(self._overlay)
        return pb.NetworkReport(
            state=self._state.state,
            problems=self._state.problems,
            names=0 if self._answering is None else self._answering.names,
            resolver_running=self._state.resolver_running,
            peers=traffic,
        )

    async def _traffic(self, overlay: Overlay) -> list[pb.PeerTraffic]:
        assert self._system is not None  # noqa: S101 -- for the type checker.
        ids = {peer.public_key: peer.id for peer in overlay.encrypted}
        found = []
        for shake in await self._system.handshakes():
            if shake.public_key in ids and (shake.at or shake.rx_bytes or shake.tx_bytes):
                peer = pb.PeerTraffic(id=ids[shake.public_key], rx_bytes=shake.rx_bytes, tx_bytes=shake.tx_bytes)
                if shake.at is not None:
                    peer.last_handshake.FromDatetime(shake.at)
                found.append(peer)
        for peer_id, (received, sent) in (await self._system.trusted_traffic(overlay)).items():
            if received or sent:
                found.append(pb.PeerTraffic(id=peer_id, rx_bytes=received, tx_bytes=sent))
        return found

    # The work.

    async def turn(self) -> None:
        """Bring the network about."""
        node = self._node
        if node is None:
            return
        address = await self._private_ip()
        problems: list[str] = []
        try:
            place = await self._placed(node, problems)
            self._joined = None if place is None else await self._work(place, address, problems)
            await self._keep_local(node, problems)
        except AgentError as error:
            # What was there stays there: it may well work still.
            problems.append(str(error)[:400])
            log.warning("network of the grid not brought about", cause=str(error)[:500])
        self._decided.set()
        self._tell(address, problems)

    async def _keep_local(self, node: pb.NodeDescription, problems: list[str]) -> None:
        """The network of the node by itself, while it takes no part in the one between nodes."""
        if self._runtime.name == "hollow" or not node.network.mode:
            return
        try:
            if self._local is not None and self._local.grid_id != node.grid_id:
                await self._local.leave()
                self._local = None
            local = self._local = self._local or LocalNetwork(
                self._runtime, self._settings.engine_id, node, self._folder
            )
            if self._joined is None:
                self._alone = await local.bring_about(self._answers)
            elif self._place is not None:
                self._alone = None
                await local.give_way(self._place, self._answers, self._former_bridges)
        except AgentError as error:
            problems.append(f"containers that are replaced may be asked too early: {error}"[:400])

    @property
    def _answering(self) -> Resolver | None:
        return self._resolver if self._joined is not None or self._local is None else self._local.resolver

    def _tell(self, address: str, problems: list[str]) -> None:
        running = self._answering is not None and self._answering.running
        state = OVERLAY if self._joined is not None else LOCAL
        if self._memory.took_part != (state == OVERLAY):
            self._memory.take_part(taken=state == OVERLAY)
        now = _State(state, tuple(problems), running, self._keys.public, address)
        if now != self._state:
            if now.problems != self._state.problems:
                log.warning("network of the grid", state=state, problems=problems)
            self._state = now
            self.news.set()

    async def _placed(self, node: pb.NodeDescription, problems: list[str]) -> Place | None:
        """Where the node is in the network, None when it takes no part."""
        if self._runtime.name == "hollow" or not self._settings.enabled or not node.network.mode:
            return None
        if not node.block:
            problems.append(f"the grid's subnet {node.subnet} has no block for node number {node.node_number}")
            return None
        place = Place(
            node_id=node.id,
            grid_id=node.grid_id,
            grid=node.grid,
            subnet=node.subnet,
            block=node.block,
            overlay_ip=node.overlay_ip,
            wireguard_port=self._settings.wireguard_port,
            vxlan_port=self._settings.vxlan_port,
        )
        if self._place is not None and self._place.names != place.names:
            await self._leave()
        found = lacks()
        if found:
            problems += found
            return None
        if node.network.mode == "none" and not exists(place.names.bridge):
            return None
        return place

    async def _leave(self) -> None:
        """This machine is another node now."""
        if self._system is not None:
            await self._system.remove()
        if self._resolver is not None:
            self._resolver.stop()
        if self._ports is not None:
            await self._ports.release()
        self._place = self._system = self._resolver = self._ports = self._overlay = self._joined = None

    async def _work(self, place: Place, address: str, problems: list[str]) -> GridNetwork | None:
        if self._place != place or self._system is None or self._resolver is None or self._ports is None:
            self._place, self._system = place, System(place.names, self._folder)
            self._resolver = Resolver(place.names, place.gateway)
            self._ports = Ports(place.names.bridge, place.names.chain("PORTS"), self._pid)
        self._mtu = await self._system.underlay_mtu(address)
        network = await self._network(place, problems)
        if network is None:
            return None
        try:
            await self._ports.guard(network.members)
        except AgentError as error:
            problems.append(f"containers can speak under the addresses of others on this node: {error}"[:400])
        if not self._resolver.keep():
            self._answer()
        await self._resolver.start()
        missing = lacks_encryption()
        if missing:
            problems.append(f"cannot encrypt, so it reaches trusted nodes only: {missing}")
        if self._rotate.exists():
            self._keys.rotate()
            self._rotate.unlink()
            log.info("network key rotated", public_key=self._keys.public)
        peers = list(self._memory.peers.values())
        await self._memory.write()
        overlay = plan(place, peers, self._mtu)
        if missing:
            overlay = replace(overlay, encrypted=())
        self._overlay, self._former_bridges = overlay, network.former_bridges
        await self._system.apply(overlay, self._keys.private, network.former_bridges)
        return GridNetwork(network.name, place.gateway)

    async def _pid(self, container_id: str) -> int:
        container = await self._runtime.containers.inspect(container_id)
        return 0 if container is None else container.pid

    async def _guard_started(self) -> None:
        """Nothing but what a container needs that has just started, for all that start within a moment."""
        while True:
            await self._starts.wait()
            await asyncio.sleep(_GATHER_SECONDS)
            self._starts.clear()
            if self._joined is not None and self._place is not None and self._ports is not None:
                await self._ports.guard((await self._ensure(self._place)).members)

    async def _network(self, place: Place, problems: list[str]) -> OverlayNetwork | None:
        if exists(place.names.bridge):
            return await self._ensure(place)
        async with lock.held(RUN_DIR / "lock"):
            assert self._system is not None  # noqa: S101 -- for the type checker.
            taken = overlaps(place.subnet, await self._system.routes(), ())
            if taken:
                problems.append(
                    f"the grid's subnet {place.subnet} overlaps with {taken} of this machine, so its containers stay "
                    "on a bridge of this node: use a grid with another subnet, or take that network away"
                )
                return None
            network = await self._ensure(place)
        if not exists(place.names.bridge):
            problems.append("the container engine makes its networks elsewhere: run the agent beside it")
            return None
        return network

    async def _ensure(self, place: Place) -> OverlayNetwork:
        return await self._runtime.networks.ensure_overlay(
            place.grid,
            place.block,
            place.gateway,
            place.names.bridge,
            container_mtu(self._mtu),
            local_bridge=local_names(self._settings.engine_id, place.grid_id).bridge,
        )

    def _answer(self) -> None:
        """Pass on what is known."""
        if self._resolver is not None and self._place is not None:
            found = self._answers(self._place, self._resolver)
            if found is not None:
                self._resolver.answer(found)
        self._answer_here()

    def _answer_here(self) -> None:
        if self._local is not None:
            self._local.answer(self._answers)

    def _answers(self, place: Place, resolver: Resolver) -> Mapping[str, tuple[str, ...]] | None:
        return self.names.answers(place, told=resolver.has_answers())


async def dismantle(node: pb.NodeDescription, engine_id: str, folder: StateDir) -> None:
    """Take the node's part of the network away from this machine, but what the engine has of it."""
    if lacks():
        return
    names = names_of(node.id)
    for each in (names, local_names(engine_id, node.grid_id)):
        await System(each, folder).remove()
        Resolver(each, "").stop()
    await Ports(names.bridge, names.chain("PORTS"), _no_pid).release()


async def _no_pid(_container_id: str) -> int:
    return 0


def request_rotation(folder: Path) -> None:
    """Ask the agent that uses this folder for another key pair; it takes one within a few seconds."""
    (folder / _ROTATE).touch(mode=0o600)
