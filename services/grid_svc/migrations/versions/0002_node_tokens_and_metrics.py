"""Tokens of single nodes, ends of sessions, numbers beyond 254, and samples of resource usage."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TIMESTAMP

revision = "0002"
down_revision = "0001"

TIME = TIMESTAMP(timezone=True)

_TABLE = """
create table grid.resource_usage (
    at timestamptz not null, grid_id varchar(24) not null, node_id varchar(24) not null,
    cpu_used double precision, cpu_cores integer, {numbers},
    internal_interfaces text[], external_interfaces text[]) partition by range (at);
create index ix_resource_usage_grid_id_at on grid.resource_usage (grid_id, at);
create index ix_resource_usage_node_id_at on grid.resource_usage (node_id, at);
create schema if not exists grid_partitions;
create table grid_partitions.resource_usage_default partition of grid.resource_usage default
"""
_NUMBERS = (
    *(f"memory_{name}" for name in ("used", "total", "free", "active", "inactive", "cached", "buffers")),
    *(f"filesystem_{name}" for name in ("used", "total")),
    *(
        f"{side}_{name}"
        for side in ("internal", "external")
        for name in ("rx_bytes", "rx_bytes_per_second", "tx_bytes", "tx_bytes_per_second")
    ),
)


def upgrade() -> None:
    for column in (
        sa.Column("token", sa.Text),
        sa.Column("token_digest", sa.LargeBinary),
        sa.Column("close_code", sa.Integer),
        sa.Column("close_reason", sa.Text),
        sa.Column("rejected_at", TIME),
        sa.Column("clock_skew", sa.Double),
    ):
        op.add_column("nodes", column, schema="grid")
    op.create_unique_constraint("uq_nodes_token_digest", "nodes", ["token_digest"], schema="grid")
    op.drop_constraint("ck_nodes_node_number", "nodes", schema="grid")
    op.create_check_constraint("ck_nodes_node_number", "nodes", "node_number >= 1", schema="grid")
    numbers = ", ".join(f"{name} double precision" for name in _NUMBERS)
    for statement in _TABLE.format(numbers=numbers).split(";"):
        op.execute(statement)
