"""Follows the endpoints of the grid."""

from collections.abc import Collection, Mapping
from dataclasses import fields
from operator import attrgetter
from typing import Any, Protocol

import grpc

from agent.domain.resolver_names import Endpoint
from agent.streams.calls import StreamEnded, until_first
from agent.streams.membership import Joined, Membership
from agent.streams.retrying import keep_trying
from kontena.deploy.v1 import endpoint_pb2 as pb
from kontena.deploy.v1 import endpoint_pb2_grpc

# For each change of each instance of the grid.
_values = attrgetter(*(field.name for field in fields(Endpoint)))


class EndpointBook(Protocol):
    """Who answers for endpoints."""

    def replace_endpoints(self, endpoints: dict[str, Endpoint]) -> None:
        """These and no others, by instance id."""

    def change_endpoints(self, upserted: Mapping[str, Endpoint], removed: Collection[str]) -> None:
        """These changed, those are gone."""


class EndpointStream:
    """Keeps the stream open. While it is down, the last known endpoints stay in force."""

    def __init__(self, channel: grpc.aio.Channel, membership: Membership, book: EndpointBook) -> None:
        self._stub: Any = endpoint_pb2_grpc.EndpointServiceStub(channel)
        self._membership = membership
        self._book = book

    async def run(self) -> None:
        """Never returns: whatever happens, it begins again."""
        await keep_trying("endpoints", self._membership, self._follow)

    async def _follow(self, joined: Joined) -> None:
        call = self._stub.WatchEndpoints(pb.WatchEndpointsRequest(), metadata=joined.metadata)
        try:
            await until_first(self._receive(call), self._membership.superseded(joined.epoch))
        finally:
            call.cancel()

    async def _receive(self, call: Any) -> None:
        gathered: dict[str, Endpoint] | None = None
        while (update := await call.read()) is not grpc.aio.EOF:
            if update.reset:
                gathered = {}
            upserted = {item.instance_id: Endpoint(*_values(item)) for item in update.upserted}
            if gathered is None:
                self._book.change_endpoints(upserted, update.removed)
                continue
            gathered.update(upserted)
            if update.synced:
                self._book.replace_endpoints(gathered)
                gathered = None
        raise StreamEnded("the master ended the stream of endpoints")
