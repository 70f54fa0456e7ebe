"""Alembic environment of the schema `vault`."""

from services.kernel.migrations import run_env
from services.vault_svc.store.tables import metadata

run_env(metadata)
