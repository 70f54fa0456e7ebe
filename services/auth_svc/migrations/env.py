"""Runs the revisions of the schema `auth`."""

from services.auth_svc.store.tables import metadata
from services.kernel.migrations import run_env

run_env(metadata)
