"""Event logs: what happened to services, for people."""

import sqlalchemy as sa

from services.deploy_svc.store.tables import metadata
from services.kernel.db import timestamp

# NOTIFY channel; the payload is a grid id.
EVENTS_ARRIVED = "deploy_events"

# Written by the engine and by events of nodes; partitioned by day of arrival, dropped by the retention loop. Ids grow
# in commit order within a grid (writers hold a lock per grid): a follower that reads "id > last" misses nothing.
event_logs = sa.Table(
    "event_logs",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
    sa.Column("arrived_on", sa.Date, primary_key=True, server_default=sa.text("current_date")),
    sa.Column("grid_id", sa.String(24), nullable=False),
    sa.Column("stack", sa.Text),
    sa.Column("service_id", sa.String(24)),
    sa.Column("service", sa.Text),
    sa.Column("volume", sa.Text),
    sa.Column("node_id", sa.String(24)),
    sa.Column("severity", sa.SmallInteger, nullable=False),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("message", sa.Text, nullable=False),
    sa.Column("instance_number", sa.Integer),
    sa.Column("time", timestamp(), nullable=False, server_default=sa.func.now()),
    sa.Index("ix_event_logs_grid_id_id", "grid_id", "id"),
    sa.Index("ix_event_logs_service_id_id", "service_id", "id"),
    postgresql_partition_by="RANGE (arrived_on)",
)

# The last stored event per agent process, so that events sent again after a cut are dropped.
event_positions = sa.Table(
    "event_positions",
    metadata,
    sa.Column("node_id", sa.String(24), primary_key=True),
    sa.Column("last_id", sa.Text, nullable=False),
    sa.Column("updated_at", timestamp(), nullable=False, server_default=sa.func.now()),
)
