"""Tables of the schema `vault`. Everything that belongs to a grid has a `grid_id` and goes when the grid goes."""

import sqlalchemy as sa

from services.kernel.db import metadata as schema_metadata
from services.kernel.db import timestamp
from services.kernel.outbox import outbox_table

metadata = schema_metadata("vault")

_now = sa.func.now()

# `sealed` is a blob of domain/envelope.py; `key_id` repeats the key id in it, so that rotation finds what is left.
secrets = sa.Table(
    "secrets",
    metadata,
    sa.Column("id", sa.String(24), primary_key=True),
    sa.Column("grid_id", sa.String(24), nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("key_id", sa.String(16), nullable=False),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
    sa.Column("created_at", timestamp(), nullable=False, server_default=_now),
    sa.Column("updated_at", timestamp(), nullable=False, server_default=_now),
    sa.Column("version", sa.Integer, nullable=False, server_default="1"),
    sa.UniqueConstraint("grid_id", "name"),
)

# One known text, encrypted: tells a wrong key from a right one before anything is written with it.
canary = sa.Table(
    "canary",
    metadata,
    sa.Column("id", sa.SmallInteger, primary_key=True, autoincrement=False),
    sa.Column("key_id", sa.String(16), nullable=False),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
    sa.CheckConstraint("id = 1", name="single"),
)

# Grids with data here that grid_svc does not know, and since when.
departed_grids = sa.Table(
    "departed_grids",
    metadata,
    sa.Column("grid_id", sa.String(24), primary_key=True),
    sa.Column("noticed_at", timestamp(), nullable=False, server_default=_now),
)

outbox = outbox_table(metadata)
