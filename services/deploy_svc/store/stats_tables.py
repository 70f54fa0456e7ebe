"""Samples of the resources that containers use."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from services.deploy_svc.store.tables import metadata
from services.kernel.db import timestamp

# Written by samples of nodes with COPY; partitioned by day of arrival, dropped by the retention loop.
container_stats = sa.Table(
    "container_stats",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
    sa.Column("arrived_on", sa.Date, primary_key=True, server_default=sa.text("current_date")),
    sa.Column("grid_id", sa.String(24), nullable=False),
    sa.Column("node_id", sa.String(24), nullable=False),
    sa.Column("service_id", sa.String(24)),
    sa.Column("container_id", sa.Text, nullable=False),
    sa.Column("time", timestamp(), nullable=False),
    # domain.container_sample.Usage as JSON.
    sa.Column("usage", JSONB, nullable=False),
    sa.Index("ix_container_stats_service_id_time", "service_id", "time"),
    postgresql_partition_by="RANGE (arrived_on)",
)
