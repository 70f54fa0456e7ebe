"""Notifications of whatever is told to those who follow a deploy."""

from alembic import op

revision = "0015"
down_revision = "0014"

# Triggers, and not a call in every place that writes: one that was forgotten would be told seconds late, and replicas
# of the release before write as well. What has ended is followed by nobody, so nothing is told when it is cleared away.
CHANGES = """
create function deploy.tell_progress() returns trigger language plpgsql as $$
begin
    -- Rows hold whole pods, so they are not looked into by the name of a column.
    if tg_table_name = 'instance_deploys' then
        perform pg_notify('deploy_progress', new.deploy_id);
    elsif tg_table_name = 'stack_deploy_steps' then
        perform pg_notify('deploy_progress', new.stack_deploy_id);
    else
        perform pg_notify('deploy_progress', coalesce(new.id, old.id));
    end if;
    return null;
end $$
---
create trigger progress after update on deploy.service_deploys for each row
    when (row(old.state, old.started_at, old.finished_at)
        is distinct from row(new.state, new.started_at, new.finished_at))
    execute function deploy.tell_progress()
---
create trigger removed after delete on deploy.service_deploys for each row
    when (old.finished_at is null) execute function deploy.tell_progress()
---
create trigger begun after insert on deploy.instance_deploys for each row
    execute function deploy.tell_progress()
---
create trigger progress after update on deploy.instance_deploys for each row
    when (row(old.state, old.node, old.error) is distinct from row(new.state, new.node, new.error))
    execute function deploy.tell_progress()
---
create trigger progress after update on deploy.stack_deploys for each row
    when (row(old.state, old.finished_at) is distinct from row(new.state, new.finished_at))
    execute function deploy.tell_progress()
---
create trigger removed after delete on deploy.stack_deploys for each row
    when (old.finished_at is null) execute function deploy.tell_progress()
---
create trigger begun after update on deploy.stack_deploy_steps for each row
    when (old.service_deploy_id is distinct from new.service_deploy_id)
    execute function deploy.tell_progress()
"""


def upgrade() -> None:
    for statement in CHANGES.split("---"):
        op.execute(statement)
