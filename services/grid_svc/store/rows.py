"""Rows of `nodes` as domain values and back."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

import sqlalchemy as sa

from services.grid_svc.domain.network import NodeNetwork
from services.grid_svc.domain.node import Driver, Facts, Node
from services.grid_svc.domain.resource_usage import CpuUsage, FilesystemUsage, MemoryUsage, ResourceUsage
from services.grid_svc.store import join_tokens
from services.grid_svc.store.tables import nodes
from services.kernel.members import made_of, members
from services.kernel.storable import to_json

# The age of a disconnection is measured where its time was taken: in Postgres.
_DISCONNECTED_SECONDS = sa.case(
    (nodes.c.connected, 0.0),
    else_=sa.func.coalesce(sa.func.extract("epoch", sa.func.now() - nodes.c.disconnected_at), 0.0).cast(sa.Double),
).label("disconnected_seconds")

# One that was refused tries again every few minutes.
CONFLICT = sa.case(
    (nodes.c.conflict_at > sa.func.now() - sa.text("interval '10 minutes'"), nodes.c.conflict_reason)
).label("conflict")

# By the names that they have here, also in rows of prepared statements.
COLUMNS = (*(column.label(column.key) for column in nodes.c), _DISCONNECTED_SECONDS, CONFLICT)

_DRIVERS = ("network_drivers", "volume_drivers")

# What a session depends on. Facts and samples are most of what there is to read of a node.
SESSION_COLUMNS = (
    nodes.c.id,
    nodes.c.grid_id,
    nodes.c.name,
    nodes.c.node_number,
    nodes.c.labels,
    nodes.c.session,
    nodes.c.connected,
    nodes.c.connected_at,
    nodes.c.public_ip,
    nodes.c.private_ip,
)


def row_to_node(row: Any) -> Node:
    """The node of a row that was selected with COLUMNS."""
    return made_of(
        Node,
        row,
        token=join_tokens.row_to_token(row),
        labels=tuple(row.labels),
        facts=made_of(
            Facts,
            row,
            network_drivers=tuple(Driver(**item) for item in row.network_drivers),
            volume_drivers=tuple(Driver(**item) for item in row.volume_drivers),
            network=row_to_network(row),
        ),
        stats=None if row.stats is None else usage(row.stats),
        disconnected_seconds=float(row.disconnected_seconds),
        agent_starts=tuple(row.agent_starts),
    )


def row_to_session_node(row: Any) -> Node:
    """The node of a row that was selected with SESSION_COLUMNS: nothing else of it is told."""
    return Node(
        row.id,
        row.grid_id,
        row.name,
        row.node_number,
        labels=tuple(row.labels),
        facts=Facts(public_ip=row.public_ip, private_ip=row.private_ip),
        session=row.session,
        connected=row.connected,
        connected_at=row.connected_at,
    )


def facts_values(facts: Facts) -> dict[str, Any]:
    """Column values of facts, as parameters of a prepared statement."""
    values = members(facts, but=("network", *_DRIVERS))
    drivers = {name: to_json([asdict(one) for one in getattr(facts, name)]) for name in _DRIVERS}
    return values | drivers | members(facts.network)


def row_to_network(row: Any) -> NodeNetwork:
    """How the containers of a node are reached, from its row."""
    return NodeNetwork(row.public_key, row.wireguard_port, row.vxlan_port)


def usage_values(sample: ResourceUsage) -> dict[str, Any]:
    """The stored form of a sample."""
    return asdict(replace(sample, network=None))


def usage(stored: Mapping[str, Any]) -> ResourceUsage:
    """The sample that `usage_values` stored."""
    memory, cpu = stored.get("memory"), stored.get("cpu")
    return ResourceUsage(
        memory=MemoryUsage(**memory) if memory else None,
        load=stored.get("load", {}),
        filesystem=tuple(FilesystemUsage(**item) for item in stored.get("filesystem", ())),
        cpu=CpuUsage(**cpu) if cpu else None,
    )
