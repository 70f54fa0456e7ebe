"""What the nodes of one grid are told about each other: one view per vantage, changed step by step. Pure."""

from collections.abc import Collection, Mapping

from services.grid_svc.domain.network import Ground, Member, Peer, PeerUpdate, Vantage, seen_from, vantage_of


class PeerViews:
    """The members of a grid and the views of those who follow. A change costs one look per vantage, of which there are
    few, and not one per node."""

    def __init__(self, ground: Ground, members: Mapping[str, Member]) -> None:
        self._ground = ground
        self._members = dict(members)
        self._views: dict[Vantage, dict[str, Peer]] = {}
        self._lists: dict[Vantage, PeerUpdate] = {}

    def vantage(self, node_id: str) -> Vantage | None:
        """From where a node looks at the others; None when it is gone."""
        member = self._members.get(node_id)
        return None if member is None else vantage_of(member, self._ground)

    def whole(self, vantage: Vantage) -> PeerUpdate:
        """The complete list as this vantage sees it."""
        if vantage not in self._lists:
            self._lists[vantage] = PeerUpdate(True, tuple(self._view(vantage).values()))
        return self._lists[vantage]

    def change(
        self, ground: Ground, found: Mapping[str, Member], asked: Collection[str] | None
    ) -> dict[Vantage, PeerUpdate]:
        """Take over what was read of the members `asked` (None: all). Returns what each vantage must be told."""
        gone = set()
        everything = asked is None or ground != self._ground
        self._ground = ground
        for node_id in set(self._members if asked is None else asked) - set(found):
            self._members.pop(node_id, None)
            gone.add(node_id)
        self._members.update(found)
        ids = gone | set(self._members if everything else found)
        steps = {}
        for vantage, view in self._views.items():
            step = self._step(vantage, view, ids)
            if step is not None:
                steps[vantage] = step
        return steps

    def keep(self, vantages: Collection[Vantage]) -> None:
        """Only these are looked from any more."""
        for vantage in set(self._views) - set(vantages):
            del self._views[vantage]
            self._lists.pop(vantage, None)

    def _view(self, vantage: Vantage) -> dict[str, Peer]:
        if vantage not in self._views:
            seen = (seen_from(vantage, member, self._ground) for member in self._members.values())
            self._views[vantage] = {peer.id: peer for peer in seen if peer is not None}
        return self._views[vantage]

    def _step(self, vantage: Vantage, view: dict[str, Peer], ids: Collection[str]) -> PeerUpdate | None:
        upserted, removed = [], []
        for node_id in ids:
            member = self._members.get(node_id)
            peer = None if member is None else seen_from(vantage, member, self._ground)
            if peer is None:
                if view.pop(node_id, None) is not None:
                    removed.append(node_id)
            elif view.get(node_id) != peer:
                view[node_id] = peer
                upserted.append(peer)
        if not upserted and not removed:
            return None
        self._lists.pop(vantage, None)
        return PeerUpdate(False, tuple(upserted), tuple(removed))
