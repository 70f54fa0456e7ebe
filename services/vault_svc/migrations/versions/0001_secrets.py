"""Secrets, the key canary, departed grids and the outbox."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP

revision = "0001"
down_revision = None

_time = TIMESTAMP(timezone=True)


def upgrade() -> None:
    op.create_table(
        "secrets",
        sa.Column("id", sa.String(24), nullable=False),
        sa.Column("grid_id", sa.String(24), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("key_id", sa.String(16), nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("created_at", _time, nullable=False, server_default=sa.func.now()),
        sa.Column("updated_at", _time, nullable=False, server_default=sa.func.now()),
        sa.Column("version", sa.Integer, nullable=False, server_default="1"),
        sa.PrimaryKeyConstraint("id", name="pk_secrets"),
        sa.UniqueConstraint("grid_id", "name", name="uq_secrets_grid_id_name"),
        schema="vault",
    )
    op.create_table(
        "canary",
        sa.Column("id", sa.SmallInteger, nullable=False, autoincrement=False),
        sa.Column("key_id", sa.String(16), nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_canary"),
        sa.CheckConstraint("id = 1", name="ck_canary_single"),
        schema="vault",
    )
    op.create_table(
        "departed_grids",
        sa.Column("grid_id", sa.String(24), nullable=False),
        sa.Column("noticed_at", _time, nullable=False, server_default=sa.func.now()),
        sa.PrimaryKeyConstraint("grid_id", name="pk_departed_grids"),
        schema="vault",
    )
    op.create_table(
        "outbox",
        sa.Column("seq", sa.BigInteger, sa.Identity(), nullable=False),
        sa.Column("id", sa.String(24), nullable=False),
        sa.Column("topic", sa.String(64), nullable=False),
        sa.Column("payload", JSONB, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("not_before", _time, nullable=False, server_default=sa.func.now()),
        sa.PrimaryKeyConstraint("seq", name="pk_outbox"),
        sa.UniqueConstraint("id", name="uq_outbox_id"),
        schema="vault",
    )
    op.create_index("ix_outbox_not_before", "outbox", ["not_before"], schema="vault")
