"""Tells followers in other services of what grids hold and of what services use of the vault. Triggers do it, so that
no statement can forget it, those of replicas of the version before included."""

from alembic import op

revision = "0008"
down_revision = "0007"

CHANGES = (
    """create function deploy.tell_grid_usage() returns trigger language plpgsql as
        $$ begin perform pg_notify('deploy_grid_usage', coalesce(new.grid_id, old.grid_id)); return null; end $$""",
    """create trigger tell_grid_usage after insert or delete on deploy.services
        for each row execute function deploy.tell_grid_usage()""",
    """create trigger tell_grid_usage_of_new after insert on deploy.instances
        for each row when (new.container_id is not null) execute function deploy.tell_grid_usage()""",
    """create trigger tell_grid_usage_of_gone after delete on deploy.instances
        for each row when (old.container_id is not null) execute function deploy.tell_grid_usage()""",
    """create trigger tell_grid_usage_of_changed after update of container_id on deploy.instances
        for each row when ((old.container_id is null) <> (new.container_id is null))
        execute function deploy.tell_grid_usage()""",
    """create function deploy.tell_vault_user() returns trigger language plpgsql as
        $$ begin perform pg_notify('deploy_vault_users', coalesce(new.id, old.id)); return null; end $$""",
    """create trigger tell_vault_user after insert or delete on deploy.services
        for each row execute function deploy.tell_vault_user()""",
    """create trigger tell_vault_user_of_changed after update of spec on deploy.services
        for each row when (old.spec -> 'secrets' is distinct from new.spec -> 'secrets')
        execute function deploy.tell_vault_user()""",
)


def upgrade() -> None:
    for statement in CHANGES:
        op.execute(statement)
