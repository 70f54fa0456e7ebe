"""Records of watches."""

from dataclasses import asdict

from kontena.grid.v1 import watch_pb2 as pb
from services.grid_svc.convert import node as nodes
from services.grid_svc.convert.resource_usage import memory_to_proto
from services.grid_svc.domain.watch import GridRecord, NodeRecord
from services.kernel.members import members
from services.kernel.times import shown


def grid_record_to_proto(record: GridRecord) -> pb.GridRecord:
    """A grid as other services see it."""
    return pb.GridRecord(**asdict(record))


def node_record_to_proto(record: NodeRecord) -> pb.NodeRecord:
    """A node as other services see it."""
    return pb.NodeRecord(
        **members(record, but=("engine_id", "memory", "disconnected_at", "volume_drivers")),
        node_id=record.engine_id,
        memory=memory_to_proto(record.memory),
        disconnected_at=shown(record.disconnected_at),
        volume_drivers=nodes.drivers_to_proto(record.volume_drivers),
    )
