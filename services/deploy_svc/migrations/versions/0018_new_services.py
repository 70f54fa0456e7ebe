"""What grids hold is told of new services by the process that makes them: many within a moment are one notification."""

from alembic import op

revision = "0018"
down_revision = "0017"

CHANGES = (
    "drop trigger tell_grid_usage on deploy.services",
    """create trigger tell_grid_usage_of_gone after delete on deploy.services
        for each row execute function deploy.tell_grid_usage()""",
)


def upgrade() -> None:
    for statement in CHANGES:
        op.execute(statement)
