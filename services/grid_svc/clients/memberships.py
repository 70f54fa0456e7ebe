"""Brings effects on memberships from the outbox to auth_svc."""

from kontena.auth.v1 import membership_pb2 as pb
from kontena.auth.v1.membership_pb2_grpc import GridMembershipServiceStub
from services.kernel.client import ServiceChannel
from services.kernel.db import Tx
from services.kernel.outbox import Message, Outbox

TOPIC = "membership"


async def add_member(tx: Tx, outbox: Outbox, grid_id: str, user_id: str) -> None:
    """Make the user a member once the transaction commits."""
    await outbox.emit(tx, TOPIC, {"grid_id": grid_id, "user_id": user_id})


async def remove_all(tx: Tx, outbox: Outbox, grid_id: str) -> None:
    """End all memberships of the grid once the transaction commits."""
    await outbox.emit(tx, TOPIC, {"grid_id": grid_id})


class MembershipDelivery:
    """The outbox handler of TOPIC."""

    def __init__(self, channel: ServiceChannel) -> None:
        self._stub = channel.stub(GridMembershipServiceStub)

    async def deliver(self, messages: list[Message]) -> None:
        """Deliver in order; auth_svc takes repeated messages without harm."""
        for message in messages:
            grid_id, user_id = message.payload["grid_id"], message.payload.get("user_id")
            if user_id:
                await self._stub.AddGridMember(pb.AddGridMemberRequest(grid_id=grid_id, user_id=user_id))
            else:
                await self._stub.RemoveGrid(pb.RemoveGridRequest(grid_id=grid_id))
