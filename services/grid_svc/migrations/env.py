"""Alembic environment of the schema `grid`."""

from services.grid_svc.store.tables import metadata
from services.kernel.migrations import run_env

run_env(metadata)
