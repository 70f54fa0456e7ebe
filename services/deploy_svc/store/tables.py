"""Tables of the schema `deploy`: spec, desired state and observed status are column groups with one writer each."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from services.kernel.db import metadata as schema_metadata
from services.kernel.db import timestamp
from services.kernel.outbox import Outbox, outbox_table

metadata = schema_metadata("deploy")

# NOTIFY channels. Payloads: a service id (something to do for its deploys; a deploy of it ended), a node record id, a
# grid id.
SERVICE_CHANGED = "deploy_service"
DEPLOY_ENDED = "deploy_ended"
NODE_CHANGED = "deploy_node"
LOGS_ARRIVED = "deploy_logs"
# Payload: `grid id/instance id`. Told by a trigger (migration 0009): who may be connected to may have changed.
ENDPOINT_CHANGED = "deploy_endpoint"
# Payload: the id of a deploy of a service or stack. Told by triggers (migration 0015): those who follow it get to know.
DEPLOY_PROGRESS = "deploy_progress"

_now = sa.func.now()

# Written by users: one row per service. `spec` is domain.service_spec.ServiceSpec as JSON.
services = sa.Table(
    "services",
    metadata,
    sa.Column("id", sa.String(24), primary_key=True),
    sa.Column("grid_id", sa.String(24), nullable=False),
    sa.Column("grid", sa.Text, nullable=False),
    sa.Column("stack", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("spec", JSONB, nullable=False),
    sa.Column("state", sa.Text, nullable=False, server_default="initialized"),
    sa.Column("revision", sa.Integer, nullable=False, server_default="1"),
    sa.Column("stack_revision", sa.Integer),
    sa.Column("restarts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("deployed_at", timestamp()),
    # Whether its stack publishes it at grid level, and its named volumes as domain.volume.Mount; both as of `revision`.
    sa.Column("exposed", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("mounts", JSONB, nullable=False, server_default="[]"),
    # Written by the rollout loop: the revision that the last deploy began with, and whether a rollback put the last
    # good spec (good_specs) in the place of `spec` until the user asks for something else.
    sa.Column("deployed_revision", sa.Integer),
    sa.Column("pinned", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("created_at", timestamp(), nullable=False, server_default=_now),
    sa.Column("updated_at", timestamp(), nullable=False, server_default=_now),
    sa.UniqueConstraint("grid_id", "stack", "name"),
    sa.CheckConstraint("state in ('initialized', 'running', 'stopped')", name="state"),
    sa.Index("ix_services_grid_id_created_at", "grid_id", "created_at"),
)

# Written by requests (insert) and the rollout loop (everything else).
service_deploys = sa.Table(
    "service_deploys",
    metadata,
    sa.Column("id", sa.String(24), primary_key=True),
    sa.Column("service_id", sa.String(24), sa.ForeignKey("deploy.services.id", ondelete="CASCADE"), nullable=False),
    sa.Column("seq", sa.BigInteger, sa.Identity(), nullable=False, unique=True),
    sa.Column("state", sa.Text, nullable=False, server_default="created"),
    sa.Column("reason", sa.Text),
    sa.Column("deploy_rev", sa.Text),
    sa.Column("total", sa.Integer),
    sa.Column("created_at", timestamp(), nullable=False, server_default=_now),
    sa.Column("queued_at", timestamp()),
    sa.Column("started_at", timestamp()),
    sa.Column("finished_at", timestamp()),
    # The rollout loop looks at unfinished deploys whose time has come.
    sa.Column("due_at", timestamp(), nullable=False, server_default=_now),
    # Who asked: a user, the reconcile loop, or a failed deploy that goes back to the last good spec. `situation` is
    # what the reconcile loop saw, `revision` what a rollback gives to the instances that it changes.
    sa.Column("cause", sa.Text, nullable=False, server_default="request"),
    sa.Column("situation", sa.Text),
    sa.Column("revision", sa.Integer),
    # E-mail of who asked, what it came from (domain.service_deploy.Origin) and the name or number of that; absent where
    # the cause says all, and for deploys of older releases.
    sa.Column("asked_by", sa.Text),
    sa.Column("origin", sa.Text),
    sa.Column("origin_name", sa.Text),
    # Written by requests: set together with the end.
    sa.Column("canceled_at", timestamp()),
    # Of a rebalance: the nodes (ids) by instance number, of those that move. Nothing else is touched.
    sa.Column("moves", JSONB),
    sa.CheckConstraint("state in ('created', 'ongoing', 'success', 'error')", name="state"),
    sa.CheckConstraint("cause in ('request', 'automatic', 'rollback')", name="cause"),
    sa.Index("ix_service_deploys_service_id_seq", "service_id", "seq"),
    sa.Index("ix_service_deploys_due_at", "due_at", postgresql_where=sa.text("finished_at is null")),
)

# Written by the rollout loop.
instance_deploys = sa.Table(
    "instance_deploys",
    metadata,
    sa.Column(
        "deploy_id", sa.String(24), sa.ForeignKey("deploy.service_deploys.id", ondelete="CASCADE"), primary_key=True
    ),
    sa.Column("instance_number", sa.Integer, primary_key=True),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("node_id", sa.String(24), nullable=False),
    sa.Column("node", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False, server_default="created"),
    sa.Column("error", sa.Text),
    sa.Column("started_at", timestamp(), nullable=False, server_default=_now),
    # While it is under way, what the instance had to be before: node_id, desired_state, deploy_rev, service_revision,
    # pod; empty for a new one, null when an older release began it.
    sa.Column("former", JSONB(none_as_null=True)),
    sa.CheckConstraint("state in ('created', 'ongoing', 'success', 'error')", name="state"),
)

instances = sa.Table(
    "instances",
    metadata,
    sa.Column("id", sa.String(24), primary_key=True),
    sa.Column("service_id", sa.String(24), sa.ForeignKey("deploy.services.id", ondelete="CASCADE"), nullable=False),
    sa.Column("grid_id", sa.String(24), nullable=False),
    sa.Column("instance_number", sa.Integer, nullable=False),
    sa.Column("created_at", timestamp(), nullable=False, server_default=_now),
    sa.Column("updated_at", timestamp(), nullable=False, server_default=_now),
    # Desired: written by the rollout loop (all) and by start, stop and restart (desired_state, restarts).
    sa.Column("node_id", sa.String(24)),
    sa.Column("desired_state", sa.Text, nullable=False, server_default="initialized"),
    sa.Column("deploy_rev", sa.Text),
    sa.Column("service_revision", sa.Integer, nullable=False, server_default="1"),
    sa.Column("restarts", sa.Integer, nullable=False, server_default="0"),
    # The pod as of deploy_rev, without secret values: domain.pod.Pod as JSON.
    sa.Column("pod", JSONB),
    # Observed: written by status reports of the node only.
    sa.Column("state", sa.Text, nullable=False, server_default="initialized"),
    sa.Column("rev", sa.Text),
    sa.Column("error", sa.Text),
    sa.Column("container_id", sa.Text),
    sa.Column("container_started_at", timestamp()),
    sa.Column("health", sa.Text),
    # Engine volumes with the data of a stateful instance by path. Reports only add to it, and it ends with the stay on
    # the node: the node must be able to tell data that was lost from data that never was.
    sa.Column("data_volumes", JSONB(none_as_null=True)),
    sa.Column("address", sa.Text),
    # Session number and report sequence of the last stored report: an older one changes nothing.
    sa.Column("reported_session", sa.Integer, nullable=False, server_default="0"),
    sa.Column("reported_sequence", sa.Integer, nullable=False, server_default="0"),
    # Written by the rollout loop: the container that ran when a deploy last succeeded.
    sa.Column("good_container_id", sa.Text),
    sa.UniqueConstraint("service_id", "instance_number"),
    sa.CheckConstraint("desired_state in ('initialized', 'running', 'stopped')", name="desired_state"),
    sa.Index("ix_instances_node_id", "node_id"),
    sa.Index("ix_instances_grid_id", "grid_id"),
)

# Written by the rollout loop: the spec of the last deploy that succeeded, which a failed one may go back to.
good_specs = sa.Table(
    "good_specs",
    metadata,
    sa.Column("service_id", sa.String(24), sa.ForeignKey("deploy.services.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("spec", JSONB, nullable=False),
    sa.Column("exposed", sa.Boolean, nullable=False),
    sa.Column("mounts", JSONB, nullable=False),
)

# Written by requests, never changed: what users asked for, the newest ones of each service.
service_revisions = sa.Table(
    "service_revisions",
    metadata,
    sa.Column("service_id", sa.String(24), sa.ForeignKey("deploy.services.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("revision", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("spec", JSONB, nullable=False),
    sa.Column("exposed", sa.Boolean, nullable=False),
    sa.Column("mounts", JSONB, nullable=False),
    sa.Column("author", sa.Text),
    sa.Column("created_at", timestamp(), nullable=False, server_default=_now),
)

# Written by the reconcile loop: when each running service is looked at next. Replicas claim rows, so they share work.
service_checks = sa.Table(
    "service_checks",
    metadata,
    sa.Column("service_id", sa.String(24), sa.ForeignKey("deploy.services.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("due_at", timestamp(), nullable=False, server_default=_now),
    sa.Index("ix_service_checks_due_at", "due_at"),
)

# Written when a node says that a one-shot hook is about to run: it never runs again for this instance number.
hook_runs = sa.Table(
    "hook_runs",
    metadata,
    sa.Column("service_id", sa.String(24), sa.ForeignKey("deploy.services.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("hook_id", sa.Text, primary_key=True),
    sa.Column("instance_number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("attempt", sa.Text, nullable=False),
    sa.Column("started_at", timestamp(), nullable=False, server_default=_now),
)

# Written by agents with COPY; partitioned by day of arrival, dropped by the retention loop. Ids grow in commit order
# within a grid (writers hold a lock per grid), so a follower that reads "id > last" misses nothing.
container_logs = sa.Table(
    "container_logs",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
    sa.Column("arrived_on", sa.Date, primary_key=True, server_default=sa.text("current_date")),
    sa.Column("grid_id", sa.String(24), nullable=False),
    sa.Column("node_id", sa.String(24), nullable=False),
    sa.Column("node", sa.Text, nullable=False),
    sa.Column("service_id", sa.String(24)),
    sa.Column("instance_number", sa.Integer),
    sa.Column("container_name", sa.Text, nullable=False),
    sa.Column("container_id", sa.Text, nullable=False),
    sa.Column("time", timestamp(), nullable=False),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("data", sa.Text, nullable=False),
    # Moment and name of the hook that wrote the line.
    sa.Column("hook", sa.Text),
    sa.Index("ix_container_logs_service_id_id", "service_id", "id"),
    sa.Index("ix_container_logs_grid_id_id", "grid_id", "id"),
    postgresql_partition_by="RANGE (arrived_on)",
)

# The last stored position per container, so that lines sent again after a cut are dropped.
log_positions = sa.Table(
    "log_positions",
    metadata,
    sa.Column("node_id", sa.String(24), primary_key=True),
    sa.Column("container_id", sa.Text, primary_key=True),
    sa.Column("type", sa.Text, primary_key=True),
    sa.Column("time", timestamp(), nullable=False),
    # How many lines with exactly this time are stored.
    sa.Column("lines", sa.Integer, nullable=False),
    sa.Column("updated_at", timestamp(), nullable=False, server_default=_now),
)

# What wrote lines that are in segments: the members of a line that filters ask for; '' and 0 for what a line has not.
log_streams = sa.Table(
    "log_streams",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
    sa.Column("grid_id", sa.String(24), nullable=False),
    sa.Column("node_id", sa.String(24), nullable=False),
    sa.Column("container_id", sa.Text, nullable=False),
    sa.Column("container_name", sa.Text, nullable=False),
    sa.Column("service_id", sa.Text, nullable=False),
    sa.Column("instance_number", sa.Integer, nullable=False),
    sa.UniqueConstraint(
        "grid_id", "node_id", "container_id", "container_name", "service_id", "instance_number", name="uq_log_streams"
    ),
    sa.Index("ix_log_streams_service_id", "service_id"),
)

# What a stream has in each segment of ids (domain/log_segment.py), and stream 0 for all of them together. Written once
# by loops/log_segments.py, when no line of the segment can come any more.
log_segments = sa.Table(
    "log_segments",
    metadata,
    sa.Column("stream_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("segment", sa.BigInteger, primary_key=True),
    sa.Column("lines", sa.Integer, nullable=False),
    # Of a search, as it is counted in store/container_logs.py.
    sa.Column("cost", sa.BigInteger, nullable=False),
    sa.Column("newest", timestamp(), nullable=False),
    # A bit for each part of the segment that has a line.
    sa.Column("parts", sa.BigInteger, nullable=False),
)

# How much each grid has in container_logs, by day of arrival; written with the lines, and when lines are removed.
log_usage = sa.Table(
    "log_usage",
    metadata,
    sa.Column("grid_id", sa.String(24), primary_key=True),
    sa.Column("arrived_on", sa.Date, primary_key=True, server_default=sa.text("current_date")),
    sa.Column("bytes", sa.BigInteger, nullable=False),
)

outbox = Outbox(outbox_table(metadata))
