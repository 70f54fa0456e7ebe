"""Who may use what reaches past a container to its node: everybody as before in the grids that exist."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    column = sa.Column("host_access", sa.Text, nullable=False, server_default="members")
    op.add_column("grids", column, schema="grid")
