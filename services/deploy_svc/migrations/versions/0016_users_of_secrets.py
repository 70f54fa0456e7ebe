"""Tells of services that come and go only when they use secrets. Most use none, and each one told of was a query of
every follower."""

from alembic import op

revision = "0016"
down_revision = "0015"

_OF = "for each row when ({row}.spec -> 'secrets' <> '[]') execute function deploy.tell_vault_user()"

CHANGES = (
    "drop trigger tell_vault_user on deploy.services",
    f"create trigger tell_vault_user_of_new after insert on deploy.services {_OF.format(row='new')}",
    f"create trigger tell_vault_user_of_gone after delete on deploy.services {_OF.format(row='old')}",
)


def upgrade() -> None:
    for statement in CHANGES:
        op.execute(statement)
