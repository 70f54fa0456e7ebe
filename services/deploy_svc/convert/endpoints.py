"""Endpoint messages."""

from weakref import WeakKeyDictionary

from kontena.deploy.v1 import endpoint_pb2 as pb
from services.deploy_svc.domain.endpoint import EndpointUpdate
from services.kernel.members import members

# Steps that many nodes are told, as one message.
_told: WeakKeyDictionary[EndpointUpdate, pb.EndpointUpdate] = WeakKeyDictionary()


def update_to_proto(update: EndpointUpdate) -> pb.EndpointUpdate:
    """What is sent to a node."""
    if update not in _told:
        _told[update] = pb.EndpointUpdate(
            reset=update.reset,
            upserted=[pb.Endpoint(**members(endpoint)) for endpoint in update.upserted],
            removed=update.removed,
            synced=update.synced,
        )
    return _told[update]
