"""Volumes of nodes that a deleted volume leaves to be removed."""

from alembic import op

revision = "0005"
down_revision = "0004"

CHANGES = """
create table deploy.volume_removals (
    node_id varchar(24), name text, due_at timestamptz not null default now(),
    constraint pk_volume_removals primary key (node_id, name));
create index ix_volume_removals_due_at on deploy.volume_removals (due_at);
"""


def upgrade() -> None:
    for statement in CHANGES.split(";"):
        if statement.strip():
            op.execute(statement)
