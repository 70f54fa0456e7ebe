"""Addresses of instances, and notifications whenever an instance may have become an endpoint or is none any more."""

from alembic import op

revision = "0009"
down_revision = "0008"

# A trigger, and not a call in every place that writes instances: one that was forgotten would send connections to a
# container that is gone, and replicas of the release before write as well.
CHANGES = """
alter table deploy.instances add column address text
---
create function deploy.tell_endpoint() returns trigger language plpgsql as $$
begin
    perform pg_notify('deploy_endpoint', coalesce(new.grid_id, old.grid_id) || '/' || coalesce(new.id, old.id));
    return null;
end $$
---
create trigger endpoint_changed after update on deploy.instances for each row
    when (row(old.state, old.health, old.address, old.node_id, old.desired_state, old.deploy_rev)
        is distinct from row(new.state, new.health, new.address, new.node_id, new.desired_state, new.deploy_rev))
    execute function deploy.tell_endpoint()
---
create trigger endpoint_gone after delete on deploy.instances for each row execute function deploy.tell_endpoint()
"""


def upgrade() -> None:
    for statement in CHANGES.split("---"):
        op.execute(statement)
