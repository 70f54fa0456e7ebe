"""What the nodes of one grid are told about each other: one view per vantage, changed step by step. Pure."""

from collections.abc import Collection, Mapping, Sequence

from services.grid_svc.domain.network import Ground, Member, Peer, PeerUpdate, Vantage, seen_from, vantage_of
from services.kernel.steps import Steps


class PeerViews:
    """The members of a grid and the views of those who follow. A change costs one look per vantage, of which there are
    few, and not one per node."""

    def __init__(self, ground: Ground, members: Mapping[str, Member]) -> None:
        self._ground = ground
        self._members = dict(members)
        self._views: dict[Vantage, _View] = {}

    def vantage(self, node_id: str) -> Vantage | None:
        """From where a node looks at the others; None when it is gone."""
        member = self._members.get(node_id)
        return None if member is None else vantage_of(member, self._ground)

    def steps(self, vantage: Vantage) -> Steps[PeerUpdate]:
        """What nodes of this vantage are told."""
        if vantage not in self._views:
            seen = (seen_from(vantage, member, self._ground) for member in self._members.values())
            self._views[vantage] = _View([peer for peer in seen if peer is not None])
        return self._views[vantage].steps

    def change(self, ground: Ground, found: Mapping[str, Member], asked: Collection[str] | None) -> set[Vantage]:
        """Take over what was read of the members `asked` (None: all). Returns the vantages with a new step."""
        gone = set()
        everything = asked is None or ground != self._ground
        self._ground = ground
        for node_id in set(self._members if asked is None else asked) - set(found):
            self._members.pop(node_id, None)
            gone.add(node_id)
        self._members.update(found)
        ids = gone | set(self._members if everything else found)
        return {vantage for vantage, view in self._views.items() if view.take(self._seen(vantage, ids))}

    def _seen(self, vantage: Vantage, ids: Collection[str]) -> dict[str, Peer | None]:
        members = {node_id: self._members.get(node_id) for node_id in ids}
        return {
            node_id: None if member is None else seen_from(vantage, member, self._ground)
            for node_id, member in members.items()
        }

    def keep(self, vantages: Collection[Vantage]) -> None:
        """Only these are looked from any more."""
        for vantage in set(self._views) - set(vantages):
            del self._views[vantage]


class _View:
    """What is seen from one vantage."""

    def __init__(self, peers: Sequence[Peer]) -> None:
        self._peers = {peer.id: peer for peer in peers}
        self._list: PeerUpdate | None = None
        self.steps: Steps[PeerUpdate] = Steps(self._whole)

    def _whole(self) -> tuple[PeerUpdate]:
        if self._list is None:
            self._list = PeerUpdate(True, tuple(self._peers.values()))
        return (self._list,)

    def take(self, seen: Mapping[str, Peer | None]) -> bool:
        """Whether that is news."""
        upserted, removed = [], []
        for node_id, peer in seen.items():
            if peer is None:
                if self._peers.pop(node_id, None) is not None:
                    removed.append(node_id)
            elif self._peers.get(node_id) != peer:
                self._peers[node_id] = peer
                upserted.append(peer)
        if not upserted and not removed:
            return False
        self._list = None
        self.steps.add(PeerUpdate(False, tuple(upserted), tuple(removed)))
        return True
