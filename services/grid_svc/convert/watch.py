"""Messages of watches."""

from dataclasses import asdict

from kontena.grid.v1 import watch_pb2 as pb
from services.grid_svc.convert import node as nodes
from services.grid_svc.convert.resource_usage import memory_to_proto
from services.grid_svc.domain.watch import GridRecord, NodeRecord
from services.kernel.informer import Change, Delete, Synced, Upsert
from services.kernel.members import members
from services.kernel.times import shown


def grid_event_to_proto(event: Change[GridRecord]) -> pb.GridEvent:
    """One step of a grid watch."""
    match event:
        case Upsert():
            return pb.GridEvent(upserted=grid_record_to_proto(event.item))
        case Delete():
            return pb.GridEvent(deleted=event.key)
        case Synced():
            return pb.GridEvent(synced=pb.Synced())


def node_event_to_proto(event: Change[NodeRecord]) -> pb.NodeEvent:
    """One step of a node watch."""
    match event:
        case Upsert():
            return pb.NodeEvent(upserted=_node_record(event.item))
        case Delete():
            return pb.NodeEvent(deleted=event.key)
        case Synced():
            return pb.NodeEvent(synced=pb.Synced())


def grid_record_to_proto(record: GridRecord) -> pb.GridRecord:
    """A grid as other services see it."""
    return pb.GridRecord(**asdict(record))


def _node_record(record: NodeRecord) -> pb.NodeRecord:
    return pb.NodeRecord(
        **members(record, but=("engine_id", "memory", "disconnected_at", "volume_drivers")),
        node_id=record.engine_id,
        memory=memory_to_proto(record.memory),
        disconnected_at=shown(record.disconnected_at),
        volume_drivers=nodes.drivers_to_proto(record.volume_drivers),
    )
