"""External registries, ACME accounts, leases, authorizations, orders and certificates."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP

revision = "0002"
down_revision = "0001"

_time = TIMESTAMP(timezone=True)


def _now(name: str) -> sa.Column:
    return sa.Column(name, _time, nullable=False, server_default=sa.func.now())


def _text(name: str, *, nullable: bool = False, default: str | None = None) -> sa.Column:
    return sa.Column(name, sa.Text, nullable=nullable, server_default=default)


def _sealed(*, nullable: bool = False) -> list[sa.Column]:
    return [
        sa.Column("key_id", sa.String(16), nullable=nullable),
        sa.Column("sealed", sa.LargeBinary, nullable=nullable),
    ]


def _of_grid(table: str, unique: str, *columns: sa.Column | sa.Constraint) -> None:
    """A table of a grid whose rows have an id and a name that is unique in the grid."""
    op.create_table(
        table,
        sa.Column("id", sa.String(24), nullable=False),
        sa.Column("grid_id", sa.String(24), nullable=False),
        *columns,
        sa.PrimaryKeyConstraint("id", name=f"pk_{table}"),
        sa.UniqueConstraint("grid_id", unique, name=f"uq_{table}_grid_id_{unique}"),
        schema="vault",
    )


def _version() -> sa.Column:
    return sa.Column("version", sa.Integer, nullable=False, server_default="1")


def upgrade() -> None:
    credentials = (_text("url"), _text("username"), _text("email", nullable=True))
    _of_grid("registries", "name", _text("name"), *credentials, *_sealed(), _now("created_at"), _version())
    account = (_text("directory"), _text("url"), _text("thumbprint"), _text("contact", default=""))
    _of_grid("acme_accounts", "directory", *account, _now("created_at"), _now("updated_at"))
    op.create_table(
        "acme_leases",
        sa.Column("grid_id", sa.String(24), nullable=False),
        sa.Column("holder", sa.String(24), nullable=False),
        sa.Column("expires_at", _time, nullable=False),
        sa.PrimaryKeyConstraint("grid_id", name="pk_acme_leases"),
        schema="vault",
    )
    _of_grid(
        "authorizations",
        "domain",
        *(_text(name) for name in ("domain", "type", "state", "directory", "url", "order_url")),
        sa.Column("challenge", JSONB, nullable=False),
        _text("thumbprint"),
        _text("problem", nullable=True),
        sa.Column("expires_at", _time),
        _text("linked_service", nullable=True),
        _text("deploy_id", nullable=True),
        *_sealed(nullable=True),
        _now("created_at"),
        _now("updated_at"),
        _version(),
        sa.CheckConstraint("type in ('dns-01', 'http-01', 'tls-alpn-01')", name="ck_authorizations_type"),
        sa.CheckConstraint("state in ('created', 'requested', 'validated', 'error')", name="ck_authorizations_state"),
    )
    op.create_index("ix_authorizations_linked", "authorizations", ["grid_id", "linked_service"], schema="vault")
    order = (_text("names"), _text("directory"), _text("url"), _text("thumbprint"))
    _of_grid("orders", "names", *order, *_sealed(), _now("created_at"), _version())
    _of_grid(
        "certificates",
        "subject",
        _text("subject"),
        sa.Column("alt_names", JSONB, nullable=False),
        sa.Column("valid_from", _time, nullable=False),
        sa.Column("valid_until", _time, nullable=False),
        _text("certificate"),
        _text("chain"),
        _text("directory", nullable=True),
        *_sealed(),
        _now("created_at"),
        _now("updated_at"),
        sa.Column("renewal_failures", sa.Integer, nullable=False, server_default="0"),
        _text("renewal_error", nullable=True),
        sa.Column("next_renewal_at", _time),
        _version(),
    )
    op.create_index("ix_certificates_valid_until", "certificates", ["valid_until"], schema="vault")
