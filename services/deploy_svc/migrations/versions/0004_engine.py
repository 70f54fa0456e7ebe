"""What the engine remembers: the last good specs, why deploys were made, checks of services, one-shot hooks."""

from alembic import op

revision = "0004"
down_revision = "0003"

CHANGES = """
alter table deploy.services add column deployed_revision integer, add column pinned boolean not null default false;
update deploy.services set deployed_revision = revision where deployed_at is not null;

alter table deploy.service_deploys add column cause text not null default 'request', add column situation text,
    add column revision integer,
    add constraint ck_service_deploys_cause check (cause in ('request', 'automatic', 'rollback'));

alter table deploy.instances add column good_container_id text;

create table deploy.good_specs (
    service_id varchar(24) constraint pk_good_specs primary key
        constraint fk_good_specs_service_id_services references deploy.services on delete cascade,
    revision integer not null, spec jsonb not null, exposed boolean not null, mounts jsonb not null);

create table deploy.service_checks (
    service_id varchar(24) constraint pk_service_checks primary key
        constraint fk_service_checks_service_id_services references deploy.services on delete cascade,
    due_at timestamptz not null default now());
create index ix_service_checks_due_at on deploy.service_checks (due_at);

create table deploy.hook_runs (
    service_id varchar(24) constraint fk_hook_runs_service_id_services references deploy.services on delete cascade,
    hook_id text, instance_number integer, attempt text not null, started_at timestamptz not null default now(),
    constraint pk_hook_runs primary key (service_id, hook_id, instance_number));
"""


def upgrade() -> None:
    for statement in CHANGES.split(";"):
        if statement.strip():
            op.execute(statement)
