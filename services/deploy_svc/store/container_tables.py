"""The mirror of the containers on the nodes, and which replica holds the command stream of a node."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from services.deploy_svc.store.tables import metadata
from services.kernel.db import timestamp

# Written by container reports of nodes; `stats` by their samples; `deleted_at` says since
# when its node is lost, written by the mirror loop.
containers = sa.Table(
    "containers",
    metadata,
    sa.Column("id", sa.String(24), primary_key=True),
    sa.Column("grid_id", sa.String(24), nullable=False),
    sa.Column("node_id", sa.String(24), nullable=False),
    sa.Column("container_id", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("service_id", sa.String(24)),
    sa.Column("instance_number", sa.Integer),
    sa.Column("running", sa.Boolean, nullable=False),
    # domain.container.Details as JSON: all that is only shown.
    sa.Column("details", JSONB, nullable=False),
    # domain.container_sample.Usage of the newest sample as JSON.
    sa.Column("stats", JSONB),
    # Number of the session that reported it.
    sa.Column("session", sa.Integer, nullable=False),
    sa.Column("created_at", timestamp(), nullable=False),
    sa.Column("updated_at", timestamp(), nullable=False, server_default=sa.func.now()),
    sa.Column("started_at", timestamp()),
    sa.Column("finished_at", timestamp()),
    sa.Column("deleted_at", timestamp()),
    sa.UniqueConstraint("node_id", "container_id"),
    sa.CheckConstraint("type in ('container', 'volume')", name="type"),
    sa.Index("ix_containers_grid_id_created_at", "grid_id", "created_at"),
    sa.Index("ix_containers_service_id_created_at", "service_id", "created_at"),
    sa.Index("ix_containers_deleted_at", "deleted_at", postgresql_where=sa.text("deleted_at is not null")),
)

# Written by the replica that a node is attached to; what is not renewed is void.
node_streams = sa.Table(
    "node_streams",
    metadata,
    sa.Column("node_id", sa.String(24), primary_key=True),
    sa.Column("session", sa.Integer, nullable=False),
    # Tells streams of one session apart.
    sa.Column("stream_id", sa.String(24), nullable=False),
    sa.Column("address", sa.Text, nullable=False),
    sa.Column("renewed_at", timestamp(), nullable=False, server_default=sa.func.now()),
)
