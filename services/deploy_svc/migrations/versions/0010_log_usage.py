"""How many bytes of logs each grid has stored, by day."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.create_table(
        "log_usage",
        sa.Column("grid_id", sa.String(24), nullable=False),
        sa.Column("arrived_on", sa.Date, nullable=False, server_default=sa.text("current_date")),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("grid_id", "arrived_on", name="pk_log_usage"),
        schema="deploy",
    )
