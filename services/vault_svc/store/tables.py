"""Tables of the schema `vault`. Everything that belongs to a grid has a `grid_id` and goes when the grid goes."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from services.kernel.db import metadata as schema_metadata
from services.kernel.db import timestamp
from services.kernel.outbox import Outbox, outbox_table

metadata = schema_metadata("vault")

_now = sa.func.now()

# `sealed` is a blob of domain/envelope.py; `key_id` repeats the key id in it, so that rotation finds what is left.
secrets = sa.Table(
    "secrets",
    metadata,
    sa.Column("id", sa.String(24), primary_key=True),
    sa.Column("grid_id", sa.String(24), nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("key_id", sa.String(16), nullable=False),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
    sa.Column("created_at", timestamp(), nullable=False, server_default=_now),
    sa.Column("updated_at", timestamp(), nullable=False, server_default=_now),
    sa.Column("version", sa.Integer, nullable=False, server_default="1"),
    sa.UniqueConstraint("grid_id", "name"),
)

# One known text, encrypted: tells a wrong key from a right one before anything is written with it.
canary = sa.Table(
    "canary",
    metadata,
    sa.Column("id", sa.SmallInteger, primary_key=True, autoincrement=False),
    sa.Column("key_id", sa.String(16), nullable=False),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
    sa.CheckConstraint("id = 1", name="single"),
)

# Grids with data here that grid_svc does not know, and since when.
departed_grids = sa.Table(
    "departed_grids",
    metadata,
    sa.Column("grid_id", sa.String(24), primary_key=True),
    sa.Column("noticed_at", timestamp(), nullable=False, server_default=_now),
)

# Image registries; `sealed` is the password.
registries = sa.Table(
    "registries",
    metadata,
    sa.Column("id", sa.String(24), primary_key=True),
    sa.Column("grid_id", sa.String(24), nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("url", sa.Text, nullable=False),
    sa.Column("username", sa.Text, nullable=False),
    sa.Column("email", sa.Text),
    sa.Column("key_id", sa.String(16), nullable=False),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
    sa.Column("created_at", timestamp(), nullable=False, server_default=_now),
    sa.Column("version", sa.Integer, nullable=False, server_default="1"),
    sa.UniqueConstraint("grid_id", "name"),
)

# Accounts at certification authorities. The key is the secret LE_PRIVATE_KEY; only its thumbprint is here.
acme_accounts = sa.Table(
    "acme_accounts",
    metadata,
    sa.Column("id", sa.String(24), primary_key=True),
    sa.Column("grid_id", sa.String(24), nullable=False),
    sa.Column("directory", sa.Text, nullable=False),
    sa.Column("url", sa.Text, nullable=False),
    sa.Column("thumbprint", sa.Text, nullable=False),
    sa.Column("contact", sa.Text, nullable=False, server_default=""),
    sa.Column("created_at", timestamp(), nullable=False, server_default=_now),
    sa.Column("updated_at", timestamp(), nullable=False, server_default=_now),
    sa.UniqueConstraint("grid_id", "directory"),
)

# Who works at the authority for a grid, and until when the others wait for it.
acme_leases = sa.Table(
    "acme_leases",
    metadata,
    sa.Column("grid_id", sa.String(24), primary_key=True),
    sa.Column("holder", sa.String(24), nullable=False),
    sa.Column("expires_at", timestamp(), nullable=False),
)

# `challenge` is domain.authorization.Challenge as JSON; `sealed` the certificate and key of a tls-alpn-01 challenge.
authorizations = sa.Table(
    "authorizations",
    metadata,
    sa.Column("id", sa.String(24), primary_key=True),
    sa.Column("grid_id", sa.String(24), nullable=False),
    sa.Column("domain", sa.Text, nullable=False),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("directory", sa.Text, nullable=False),
    sa.Column("url", sa.Text, nullable=False),
    sa.Column("order_url", sa.Text, nullable=False),
    sa.Column("challenge", JSONB, nullable=False),
    sa.Column("thumbprint", sa.Text, nullable=False),
    sa.Column("problem", sa.Text),
    sa.Column("expires_at", timestamp()),
    sa.Column("linked_service", sa.Text),
    sa.Column("deploy_id", sa.Text),
    sa.Column("key_id", sa.String(16)),
    sa.Column("sealed", sa.LargeBinary),
    sa.Column("created_at", timestamp(), nullable=False, server_default=_now),
    sa.Column("updated_at", timestamp(), nullable=False, server_default=_now),
    sa.Column("version", sa.Integer, nullable=False, server_default="1"),
    sa.UniqueConstraint("grid_id", "domain"),
    sa.CheckConstraint("type in ('dns-01', 'http-01', 'tls-alpn-01')", name="type"),
    sa.CheckConstraint("state in ('created', 'requested', 'validated', 'error')", name="state"),
    sa.Index("ix_authorizations_linked", "grid_id", "linked_service"),
)

# Orders in progress; `names` are sorted and joined by commas, `sealed` is the key of the certificate to be.
orders = sa.Table(
    "orders",
    metadata,
    sa.Column("id", sa.String(24), primary_key=True),
    sa.Column("grid_id", sa.String(24), nullable=False),
    sa.Column("names", sa.Text, nullable=False),
    sa.Column("directory", sa.Text, nullable=False),
    sa.Column("url", sa.Text, nullable=False),
    sa.Column("thumbprint", sa.Text, nullable=False),
    sa.Column("key_id", sa.String(16), nullable=False),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
    sa.Column("created_at", timestamp(), nullable=False, server_default=_now),
    sa.Column("version", sa.Integer, nullable=False, server_default="1"),
    sa.UniqueConstraint("grid_id", "names"),
)

# `sealed` is the private key. The `*renewal*` columns belong to the renewal loop.
certificates = sa.Table(
    "certificates",
    metadata,
    sa.Column("id", sa.String(24), primary_key=True),
    sa.Column("grid_id", sa.String(24), nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("alt_names", JSONB, nullable=False),
    sa.Column("valid_from", timestamp(), nullable=False),
    sa.Column("valid_until", timestamp(), nullable=False),
    sa.Column("certificate", sa.Text, nullable=False),
    sa.Column("chain", sa.Text, nullable=False),
    sa.Column("directory", sa.Text),
    sa.Column("key_id", sa.String(16), nullable=False),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
    sa.Column("created_at", timestamp(), nullable=False, server_default=_now),
    sa.Column("updated_at", timestamp(), nullable=False, server_default=_now),
    sa.Column("renewal_failures", sa.Integer, nullable=False, server_default="0"),
    sa.Column("renewal_error", sa.Text),
    sa.Column("next_renewal_at", timestamp()),
    sa.Column("version", sa.Integer, nullable=False, server_default="1"),
    sa.UniqueConstraint("grid_id", "subject"),
    sa.Index("ix_certificates_valid_until", "valid_until"),
)

outbox = Outbox(outbox_table(metadata))
