"""Configs of grids."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"

_time = sa.TIMESTAMP(timezone=True)


def upgrade() -> None:
    op.create_table(
        "grid_configs",
        sa.Column("id", sa.String(24), nullable=False),
        sa.Column("grid_id", sa.String(24), nullable=False),
        sa.Column("grid", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False, server_default="1"),
        sa.Column("created_at", _time, nullable=False, server_default=sa.func.now()),
        sa.Column("updated_at", _time, nullable=False, server_default=sa.func.now()),
        sa.PrimaryKeyConstraint("id", name="pk_grid_configs"),
        sa.UniqueConstraint("grid_id", "name", name="uq_grid_configs_grid_id_name"),
        schema="deploy",
    )
