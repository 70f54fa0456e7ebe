"""What the agent knows of the network of its grid, kept for a time without a master."""

from collections.abc import Collection, Mapping
from dataclasses import fields

from agent.domain.overlay_plan import Peer
from agent.domain.resolver_names import Endpoint
from agent.state_dir import StateDir, StateFile
from agent.state_documents import NetworkDocument
from kontena.grid.v1 import node_session_pb2 as pb

_DELAY = 1.0
_PEER_FIELDS = tuple(field.name for field in fields(Peer))


class NetworkMemory:
    """Peers and endpoints as last heard, and whether this node took part. No secrets."""

    def __init__(self, folder: StateDir) -> None:
        self._file = StateFile(folder, "network.json", self._content, _DELAY)
        kept = self._file.read(NetworkDocument)
        self.peers = {peer.id: peer for peer in kept.peers}
        self.endpoints = {item.instance_id: item for item in kept.endpoints or ()}
        # Whether anything of it was ever heard: an empty list of endpoints may not replace a full one by mistake.
        self.heard_endpoints = kept.endpoints is not None
        # What an agent before this one read last may be newer than what it wrote last.
        self.told_endpoints = False
        self.took_part = kept.took_part

    def update_peers(self, update: pb.PeerUpdate) -> None:
        """Take over a step of the list of peers."""
        if update.reset:
            self.peers = {}
        for node_id in update.removed:
            self.peers.pop(node_id, None)
        for item in update.upserted:
            self.peers[item.id] = Peer(**{name: getattr(item, name) for name in _PEER_FIELDS})
        self._file.touch()

    def replace_endpoints(self, endpoints: dict[str, Endpoint]) -> None:
        """These and no others."""
        self.endpoints, self.heard_endpoints, self.told_endpoints = endpoints, True, True
        self._file.touch()

    def change_endpoints(self, upserted: Mapping[str, Endpoint], removed: Collection[str]) -> None:
        """These changed, those are gone. In place: a copy of all would cost a large grid more than the change."""
        for instance_id in removed:
            self.endpoints.pop(instance_id, None)
        self.endpoints.update(upserted)
        self._file.touch()

    def take_part(self, *, taken: bool) -> None:
        """Whether other nodes can reach the containers of this one."""
        self.took_part = taken
        self._file.touch()

    def forget(self) -> None:
        """This machine is another node now."""
        self.peers, self.endpoints = {}, {}
        self.heard_endpoints = self.told_endpoints = self.took_part = False
        self._file.touch()

    async def write(self) -> None:
        """Have it written before it is acted upon: an agent that dies and starts without a master must not go back."""
        await self._file.write()

    def _content(self) -> NetworkDocument:
        return NetworkDocument.model_construct(
            peers=list(self.peers.values()),
            endpoints=list(self.endpoints.values()) if self.heard_endpoints else None,
            took_part=self.took_part,
        )
