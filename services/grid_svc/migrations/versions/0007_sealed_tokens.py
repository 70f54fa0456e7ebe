"""Join tokens that are encrypted. Where there are grids, replicas may run that read them in clear text only."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TIMESTAMP

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    for table in ("grids", "nodes"):
        op.add_column(table, sa.Column("token_sealed", sa.LargeBinary), schema="grid")
    op.create_table(
        "sealed_tokens",
        sa.Column("since", TIMESTAMP(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.PrimaryKeyConstraint("since", name="pk_sealed_tokens"),
        schema="grid",
    )
    op.execute("insert into grid.sealed_tokens select now() where not exists (select from grid.grids)")
