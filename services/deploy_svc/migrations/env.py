"""Run by alembic; see services.kernel.migrations."""

from services.deploy_svc.store.tables import metadata
from services.kernel.migrations import run_env

run_env(metadata)
