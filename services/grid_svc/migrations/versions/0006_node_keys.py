"""Keys of nodes, and engine ids that are unique in their grid only."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.add_column("nodes", sa.Column("node_key", sa.LargeBinary), schema="grid")
    op.create_unique_constraint("uq_nodes_node_id_grid_id", "nodes", ["node_id", "grid_id"], schema="grid")
    op.drop_constraint("uq_nodes_node_id", "nodes", schema="grid")
