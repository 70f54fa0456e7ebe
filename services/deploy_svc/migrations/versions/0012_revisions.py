"""Revisions of services, and who made those of stacks. Services begin with the one that they have."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0012"
down_revision = "0011"

BEGIN = """
insert into deploy.service_revisions (service_id, revision, spec, exposed, mounts, created_at)
  select id, revision, spec, exposed, mounts, updated_at from deploy.services
"""


def upgrade() -> None:
    op.create_table(
        "service_revisions",
        sa.Column("service_id", sa.String(24), nullable=False),
        sa.Column("revision", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("spec", JSONB, nullable=False),
        sa.Column("exposed", sa.Boolean, nullable=False),
        sa.Column("mounts", JSONB, nullable=False),
        sa.Column("author", sa.Text),
        sa.Column("created_at", sa.TIMESTAMP(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.PrimaryKeyConstraint("service_id", "revision", name="pk_service_revisions"),
        sa.ForeignKeyConstraint(
            ["service_id"],
            ["deploy.services.id"],
            ondelete="CASCADE",
            name="fk_service_revisions_service_id_services",
        ),
        schema="deploy",
    )
    op.execute(BEGIN)
    op.add_column("stack_revisions", sa.Column("author", sa.Text), schema="deploy")
