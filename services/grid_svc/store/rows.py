"""Rows of `nodes` as domain values and back."""

from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from typing import Any

import sqlalchemy as sa

from services.grid_svc.domain.network import NodeNetwork
from services.grid_svc.domain.node import Driver, Facts, Node
from services.grid_svc.domain.resource_usage import CpuUsage, FilesystemUsage, MemoryUsage, ResourceUsage
from services.grid_svc.store import join_tokens
from services.grid_svc.store.tables import nodes

_APART = ("network_drivers", "volume_drivers", "network")
_FACTS = tuple(field.name for field in fields(Facts) if field.name not in _APART)

# The age of a disconnection is measured where its time was taken: in Postgres.
_DISCONNECTED_SECONDS = sa.case(
    (nodes.c.connected, 0.0),
    else_=sa.func.coalesce(sa.func.extract("epoch", sa.func.now() - nodes.c.disconnected_at), 0.0).cast(sa.Double),
).label("disconnected_seconds")

# One that was refused tries again every few minutes.
CONFLICT = sa.case(
    (nodes.c.conflict_at > sa.func.now() - sa.text("interval '10 minutes'"), nodes.c.conflict_reason)
).label("conflict")

COLUMNS = (nodes, _DISCONNECTED_SECONDS, CONFLICT)


def node(row: Any) -> Node:
    """The node of a row that was selected with COLUMNS."""
    return Node(
        id=row.id,
        grid_id=row.grid_id,
        engine_id=row.engine_id,
        name=row.name,
        node_number=row.node_number,
        token=join_tokens.token(row),
        node_key=row.node_key,
        labels=tuple(row.labels),
        availability=row.availability,
        agent_version=row.agent_version,
        facts=Facts(
            **{name: getattr(row, name) for name in _FACTS},
            network_drivers=tuple(Driver(**item) for item in row.network_drivers),
            volume_drivers=tuple(Driver(**item) for item in row.volume_drivers),
            network=network(row),
        ),
        stats=None if row.stats is None else usage(row.stats),
        session=row.session,
        connected=row.connected,
        updated=row.updated,
        created_at=row.created_at,
        updated_at=row.updated_at,
        last_seen_at=row.last_seen_at,
        connected_at=row.connected_at,
        disconnected_at=row.disconnected_at,
        disconnected_seconds=float(row.disconnected_seconds),
        close_code=row.close_code,
        close_reason=row.close_reason,
        rejected_at=row.rejected_at,
        clock_skew=row.clock_skew,
        agent_starts=tuple(row.agent_starts),
        conflict=row.conflict,
    )


def facts_values(facts: Facts) -> dict[str, Any]:
    """Column values of facts."""
    values: dict[str, Any] = asdict(facts)
    return {**values.pop("network"), **values}


def network(row: Any) -> NodeNetwork:
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
