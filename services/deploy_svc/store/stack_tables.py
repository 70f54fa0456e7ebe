"""Tables of stacks, their deploys, volumes, and answers that repeated requests get again."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from services.deploy_svc.store.tables import metadata
from services.kernel.db import timestamp

# NOTIFY channel; payload: a stack id.
STACK_CHANGED = "deploy_stack"

_now = sa.func.now()

# Written by requests; the remover deletes the row.
stacks = sa.Table(
    "stacks",
    metadata,
    sa.Column("id", sa.String(24), primary_key=True),
    sa.Column("seq", sa.BigInteger, sa.Identity(), nullable=False, unique=True),
    sa.Column("grid_id", sa.String(24), nullable=False),
    sa.Column("grid", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("parent_name", sa.Text),
    # The latest revision.
    sa.Column("revision", sa.Integer, nullable=False, server_default="1"),
    sa.Column("created_at", timestamp(), nullable=False, server_default=_now),
    # Set when its removal was asked for; the remover then looks at it when `due_at` has come.
    sa.Column("removed_at", timestamp()),
    sa.Column("due_at", timestamp(), nullable=False, server_default=_now),
    sa.UniqueConstraint("grid_id", "name"),
    sa.Index("ix_stacks_due_at", "due_at", postgresql_where=sa.text("removed_at is not null")),
)

# Never changed. `document` is domain.stack.Document as JSON.
stack_revisions = sa.Table(
    "stack_revisions",
    metadata,
    sa.Column("stack_id", sa.String(24), sa.ForeignKey("deploy.stacks.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("revision", sa.Integer, primary_key=True),
    sa.Column("document", JSONB, nullable=False),
    sa.Column("author", sa.Text),
    sa.Column("created_at", timestamp(), nullable=False, server_default=_now),
)

# Written by requests (insert) and the stack loop (everything else).
stack_deploys = sa.Table(
    "stack_deploys",
    metadata,
    sa.Column("id", sa.String(24), primary_key=True),
    sa.Column("stack_id", sa.String(24), sa.ForeignKey("deploy.stacks.id", ondelete="CASCADE"), nullable=False),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("state", sa.Text, nullable=False, server_default="created"),
    sa.Column("reason", sa.Text),
    sa.Column("created_at", timestamp(), nullable=False, server_default=_now),
    sa.Column("finished_at", timestamp()),
    sa.Column("due_at", timestamp(), nullable=False, server_default=_now),
    # As in service_deploys.
    sa.Column("asked_by", sa.Text),
    sa.Column("origin", sa.Text),
    sa.Column("origin_name", sa.Text),
    sa.Column("canceled_at", timestamp()),
    sa.CheckConstraint("state in ('created', 'ongoing', 'success', 'error')", name="state"),
    sa.Index("ix_stack_deploys_stack_id", "stack_id"),
    sa.Index("ix_stack_deploys_due_at", "due_at", postgresql_where=sa.text("finished_at is null")),
)

# What a stack deploy does, in order; fixed when it is requested. Without references: services may go away meanwhile.
stack_deploy_steps = sa.Table(
    "stack_deploy_steps",
    metadata,
    sa.Column(
        "stack_deploy_id", sa.String(24), sa.ForeignKey("deploy.stack_deploys.id", ondelete="CASCADE"), primary_key=True
    ),
    sa.Column("position", sa.Integer, primary_key=True),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("service_id", sa.String(24), nullable=False),
    sa.Column("service", sa.Text, nullable=False),
    sa.Column("service_deploy_id", sa.String(24)),
    sa.Column("started_at", timestamp()),
    sa.Column("done", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.CheckConstraint("action in ('deploy', 'remove')", name="action"),
    sa.Index("ix_stack_deploy_steps_service_id", "service_id", postgresql_where=sa.text("not done")),
)

volumes = sa.Table(
    "volumes",
    metadata,
    sa.Column("id", sa.String(24), primary_key=True),
    sa.Column("seq", sa.BigInteger, sa.Identity(), nullable=False, unique=True),
    sa.Column("grid_id", sa.String(24), nullable=False),
    sa.Column("grid", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("scope", sa.Text, nullable=False),
    sa.Column("driver", sa.Text, nullable=False),
    sa.Column("driver_opts", JSONB, nullable=False),
    sa.Column("created_at", timestamp(), nullable=False, server_default=_now),
    sa.Column("updated_at", timestamp(), nullable=False, server_default=_now),
    sa.UniqueConstraint("grid_id", "name"),
    sa.CheckConstraint("scope in ('instance', 'stack', 'grid')", name="scope"),
)

# Written when an instance that mounts the volume is sent to a node; stays when the instance leaves, as the data does.
volume_instances = sa.Table(
    "volume_instances",
    metadata,
    sa.Column("volume_id", sa.String(24), sa.ForeignKey("deploy.volumes.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("node_id", sa.String(24), primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("node", sa.Text, nullable=False),
    sa.Column("created_at", timestamp(), nullable=False, server_default=_now),
    sa.Index("ix_volume_instances_node_id", "node_id"),
)

# Volumes of nodes that are to go, with their data: what a deleted volume leaves until the node has removed it.
volume_removals = sa.Table(
    "volume_removals",
    metadata,
    sa.Column("node_id", sa.String(24), primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("due_at", timestamp(), nullable=False, server_default=_now),
    sa.Index("ix_volume_removals_due_at", "due_at"),
)

# First answers to requests with an Idempotency-Key; `key` and `request` are digests.
idempotency_keys = sa.Table(
    "idempotency_keys",
    metadata,
    sa.Column("principal", sa.Text, primary_key=True),
    sa.Column("method", sa.Text, primary_key=True),
    sa.Column("key", sa.String(64), primary_key=True),
    sa.Column("request", sa.String(64), nullable=False),
    sa.Column("response", sa.LargeBinary, nullable=False),
    sa.Column("http_status", sa.Integer),
    sa.Column("created_at", timestamp(), nullable=False, server_default=_now),
    sa.Index("ix_idempotency_keys_created_at", "created_at"),
)

# Texts that services get as files. `revision` counts the texts.
grid_configs = sa.Table(
    "grid_configs",
    metadata,
    sa.Column("id", sa.String(24), primary_key=True),
    sa.Column("grid_id", sa.String(24), nullable=False),
    sa.Column("grid", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("content", sa.Text, nullable=False),
    sa.Column("revision", sa.Integer, nullable=False, server_default="1"),
    sa.Column("created_at", timestamp(), nullable=False, server_default=_now),
    sa.Column("updated_at", timestamp(), nullable=False, server_default=_now),
    sa.UniqueConstraint("grid_id", "name"),
)
