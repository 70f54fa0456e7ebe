"""The network between nodes: settings of grids, keys and ports of nodes, and what agents tell of it."""

from alembic import op

revision = "0004"
down_revision = "0003"

CHANGES = """
alter table grid.grids
    add column network_mode text not null default 'auto', add column node_prefix integer,
    add constraint ck_grids_network_mode check (network_mode in ('auto', 'wireguard', 'vxlan', 'none'));
alter table grid.nodes
    add column public_key text,
    add column wireguard_port integer not null default 0, add column vxlan_port integer not null default 0;
create table grid.network_reports (
    node_id varchar(24), report jsonb not null, at timestamptz not null default now(),
    constraint pk_network_reports primary key (node_id),
    constraint fk_network_reports_node_id_nodes foreign key (node_id) references grid.nodes (id) on delete cascade);
"""


def upgrade() -> None:
    for statement in CHANGES.split(";"):
        if statement.strip():
            op.execute(statement)
