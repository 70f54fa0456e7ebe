"""Tables of the schema `grid`."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from services.kernel import db
from services.kernel.outbox import Outbox, outbox_table

metadata = db.metadata("grid")

MEMORY = ("used", "total", "free", "active", "inactive", "cached", "buffers")
FILESYSTEM = ("used", "total")
TRAFFIC = ("rx_bytes", "rx_bytes_per_second", "tx_bytes", "tx_bytes_per_second")
NETWORKS = ("internal", "external")

grids = sa.Table(
    "grids",
    metadata,
    sa.Column("id", sa.String(24), primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    # Agents are found by its digest; administrators read it. Encrypted, and empty in clear text, once `sealed_tokens`
    # says so; until then the other way round.
    sa.Column("token", sa.Text, nullable=False),
    sa.Column("token_sealed", sa.LargeBinary),
    sa.Column("token_digest", sa.LargeBinary, nullable=False),
    sa.Column("initial_size", sa.Integer, nullable=False),
    sa.Column("subnet", sa.Text, nullable=False),
    sa.Column("supernet", sa.Text, nullable=False),
    sa.Column("default_affinity", ARRAY(sa.Text), nullable=False),
    sa.Column("trusted_subnets", ARRAY(sa.Text), nullable=False),
    sa.Column("statsd_server", sa.Text),
    sa.Column("statsd_port", sa.Integer),
    sa.Column("logs_forwarder", sa.Text),
    sa.Column("logs_opts", JSONB(none_as_null=True)),
    sa.Column("network_mode", sa.Text, nullable=False, server_default="auto"),
    sa.Column("node_prefix", sa.Integer),
    # The default is for releases that do not know the column; new grids are given `admins`.
    sa.Column("host_access", sa.Text, nullable=False, server_default="members"),
    sa.Column("version", sa.Integer, nullable=False, server_default="1"),
    sa.Column("created_at", db.timestamp(), nullable=False, server_default=sa.func.now()),
    sa.Column("updated_at", db.timestamp(), nullable=False, server_default=sa.func.now()),
    sa.UniqueConstraint("name"),
    sa.UniqueConstraint("token_digest"),
    sa.CheckConstraint("initial_size between 1 and 7", name="initial_size"),
    sa.CheckConstraint("network_mode in ('auto', 'wireguard', 'vxlan', 'none')", name="network_mode"),
)

nodes = sa.Table(
    "nodes",
    metadata,
    sa.Column("id", sa.String(24), primary_key=True),
    sa.Column("grid_id", sa.String(24), sa.ForeignKey(grids.c.id), nullable=False),
    sa.Column("node_id", sa.Text, key="engine_id"),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("node_number", sa.Integer, nullable=False),
    # As that of a grid. A node without a digest joins with the grid's.
    sa.Column("token", sa.Text),
    sa.Column("token_sealed", sa.LargeBinary),
    sa.Column("token_digest", sa.LargeBinary),
    # Ed25519 public key that the agent showed first and has to prove since; null until one did.
    sa.Column("node_key", sa.LargeBinary),
    # Written by users.
    sa.Column("labels", ARRAY(sa.Text), nullable=False),
    sa.Column("availability", sa.String(16), nullable=False, server_default="active"),
    # Written from what the agent tells.
    sa.Column("agent_version", sa.Text),
    sa.Column("os", sa.Text),
    sa.Column("kernel_version", sa.Text),
    sa.Column("driver", sa.Text),
    sa.Column("engine_root_dir", sa.Text),
    sa.Column("docker_version", sa.Text),
    sa.Column("public_ip", sa.Text),
    sa.Column("private_ip", sa.Text),
    sa.Column("mem_total", sa.Double),
    sa.Column("mem_limit", sa.Double),
    sa.Column("cpus", sa.Integer),
    sa.Column("network_drivers", JSONB, nullable=False, server_default="[]"),
    sa.Column("volume_drivers", JSONB, nullable=False, server_default="[]"),
    # What other nodes need to reach its containers.
    sa.Column("public_key", sa.Text),
    sa.Column("wireguard_port", sa.Integer, nullable=False, server_default="0"),
    sa.Column("vxlan_port", sa.Integer, nullable=False, server_default="0"),
    sa.Column("stats", JSONB(none_as_null=True)),
    # Written by sessions and the liveness loop. `last_seen_at` has no index on purpose: its updates stay cheap.
    sa.Column("session", sa.Integer, nullable=False, server_default="0"),
    sa.Column("connected", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("updated", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("last_seen_at", db.timestamp()),
    sa.Column("connected_at", db.timestamp()),
    sa.Column("disconnected_at", db.timestamp()),
    # How the last session ended, or why none began (`rejected_at`), as clients know it.
    sa.Column("close_code", sa.Integer),
    sa.Column("close_reason", sa.Text),
    sa.Column("rejected_at", db.timestamp()),
    # Ids of the starts of agents that had the session, newest first, and the last vain try of one that had it before.
    sa.Column("agent_starts", ARRAY(sa.Text), nullable=False, server_default="{}"),
    sa.Column("conflict_at", db.timestamp()),
    sa.Column("conflict_reason", sa.Text),
    # Seconds by which the node's clock was ahead when the session began.
    sa.Column("clock_skew", sa.Double),
    # When the stream of the present session broke; the agent may still come back in time.
    sa.Column("lost_at", db.timestamp()),
    sa.Column("created_at", db.timestamp(), nullable=False, server_default=sa.func.now()),
    sa.Column("updated_at", db.timestamp(), nullable=False, server_default=sa.func.now()),
    # Not over all grids: who joins one grid must not be able to take ids from another.
    sa.UniqueConstraint("engine_id", "grid_id"),
    sa.UniqueConstraint("token_digest"),
    sa.UniqueConstraint("grid_id", "name", name="uq_nodes_grid_id_name"),
    sa.UniqueConstraint("grid_id", "node_number", name="uq_nodes_grid_id_node_number"),
    sa.CheckConstraint("availability in ('active', 'drain')", name="availability"),
    sa.CheckConstraint("node_number >= 1", name="node_number"),
)

# Written from what agents tell of their network; a table of its own, as lists of nodes do without.
network_reports = sa.Table(
    "network_reports",
    metadata,
    sa.Column("node_id", sa.String(24), sa.ForeignKey(nodes.c.id, ondelete="CASCADE"), primary_key=True),
    # domain.network_report.NetworkReport as JSON.
    sa.Column("report", JSONB, nullable=False),
    sa.Column("at", db.timestamp(), nullable=False, server_default=sa.func.now()),
)

# One row per sample of a node, written with COPY; partitioned by day, dropped by the retention loop. What was not
# measured is null. The partitions live in a schema of their own, so that this one shows what migrations made.
resource_usage = sa.Table(
    "resource_usage",
    metadata,
    sa.Column("at", db.timestamp(), nullable=False),
    sa.Column("grid_id", sa.String(24), nullable=False),
    sa.Column("node_id", sa.String(24), nullable=False),
    sa.Column("cpu_used", sa.Double),
    sa.Column("cpu_cores", sa.Integer),
    *(sa.Column(f"memory_{name}", sa.Double) for name in MEMORY),
    *(sa.Column(f"filesystem_{name}", sa.Double) for name in FILESYSTEM),
    *(sa.Column(f"{side}_{name}", sa.Double) for side in NETWORKS for name in TRAFFIC),
    *(sa.Column(f"{side}_interfaces", ARRAY(sa.Text)) for side in NETWORKS),
    sa.Index("ix_resource_usage_grid_id_at", "grid_id", "at"),
    sa.Index("ix_resource_usage_node_id_at", "node_id", "at"),
    postgresql_partition_by="RANGE (at)",
)

# A row once no replica is left that reads join tokens in clear text only; from then on none is written so.
sealed_tokens = sa.Table(
    "sealed_tokens",
    metadata,
    sa.Column("since", db.timestamp(), primary_key=True, server_default=sa.func.now()),
)

outbox = Outbox(outbox_table(metadata))
