"""Grids, nodes and the outbox. Constraints take their names from the naming convention of the metadata."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TIMESTAMP

revision = "0001"
down_revision = None

TIME = TIMESTAMP(timezone=True)


def upgrade() -> None:
    op.create_table(
        "grids",
        sa.Column("id", sa.String(24), primary_key=True),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("name", "token", "subnet", "supernet")),
        sa.Column("token_digest", sa.LargeBinary, nullable=False),
        sa.Column("initial_size", sa.Integer, nullable=False),
        *(sa.Column(name, ARRAY(sa.Text), nullable=False) for name in ("default_affinity", "trusted_subnets")),
        *(sa.Column(name, sa.Text) for name in ("statsd_server", "logs_forwarder")),
        sa.Column("statsd_port", sa.Integer),
        sa.Column("logs_opts", JSONB),
        sa.Column("version", sa.Integer, nullable=False, server_default="1"),
        *_created_and_updated(),
        sa.UniqueConstraint("name"),
        sa.UniqueConstraint("token_digest"),
        sa.CheckConstraint("initial_size between 1 and 7", name="initial_size"),
        schema="grid",
    )
    op.create_table(
        "nodes",
        sa.Column("id", sa.String(24), primary_key=True),
        sa.Column("grid_id", sa.String(24), sa.ForeignKey("grid.grids.id"), nullable=False),
        sa.Column("node_id", sa.Text),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("node_number", sa.Integer, nullable=False),
        sa.Column("labels", ARRAY(sa.Text), nullable=False),
        sa.Column("availability", sa.String(16), nullable=False, server_default="active"),
        *(sa.Column(name, sa.Text) for name in ("agent_version", "os", "kernel_version", "driver")),
        *(sa.Column(name, sa.Text) for name in ("engine_root_dir", "docker_version", "public_ip", "private_ip")),
        *(sa.Column(name, sa.Double) for name in ("mem_total", "mem_limit")),
        sa.Column("cpus", sa.Integer),
        *(
            sa.Column(name, JSONB, nullable=False, server_default="[]")
            for name in ("network_drivers", "volume_drivers")
        ),
        sa.Column("stats", JSONB),
        sa.Column("session", sa.Integer, nullable=False, server_default="0"),
        *(sa.Column(name, sa.Boolean, nullable=False, server_default=sa.false()) for name in ("connected", "updated")),
        *(sa.Column(name, TIME) for name in ("last_seen_at", "connected_at", "disconnected_at", "lost_at")),
        *_created_and_updated(),
        sa.UniqueConstraint("node_id"),
        sa.UniqueConstraint("grid_id", "name", name="uq_nodes_grid_id_name"),
        sa.UniqueConstraint("grid_id", "node_number", name="uq_nodes_grid_id_node_number"),
        sa.CheckConstraint("availability in ('active', 'drain')", name="availability"),
        sa.CheckConstraint("node_number between 1 and 254", name="node_number"),
        schema="grid",
    )
    op.create_table(
        "outbox",
        sa.Column("seq", sa.BigInteger, sa.Identity(), primary_key=True),
        sa.Column("id", sa.String(24), nullable=False, unique=True),
        sa.Column("topic", sa.String(64), nullable=False),
        sa.Column("payload", JSONB, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("not_before", TIME, nullable=False, server_default=sa.func.now()),
        schema="grid",
    )
    op.create_index("ix_outbox_not_before", "outbox", ["not_before"], schema="grid")


def _created_and_updated() -> list[sa.Column]:
    return [
        sa.Column(name, TIME, nullable=False, server_default=sa.func.now()) for name in ("created_at", "updated_at")
    ]
