"""The services whose schemas and keys make up an installation, and the secret settings that belong to their data."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import get_args

from pydantic import SecretStr
from pydantic_settings import BaseSettings

import services
from services.auth_svc.settings import Settings as AuthSettings
from services.deploy_svc.settings import Settings as DeploySettings
from services.grid_svc.settings import Settings as GridSettings
from services.kernel.settings import ServiceSettings, variables
from services.vault_svc.settings import Settings as VaultSettings

SERVICE_SETTINGS: dict[str, type[ServiceSettings]] = {
    "auth": AuthSettings,
    "grid": GridSettings,
    "deploy": DeploySettings,
    "vault": VaultSettings,
}
# What else lies in `secrets.env` of the suite on one machine: the token that its own node joins with.
LOCAL_KEYS = ("KONTENA_GRID_TOKEN",)
# With other ones than those of the backup, what is in the database could not be read.
DECISIVE = ("CLUSTER_SECRET", "TOKEN_DIGEST_KEY", "VAULT_KEY")


def migrations(service: str) -> Path:
    """The history of a service's schema."""
    return Path(services.__file__).parent / f"{service}_svc" / "migrations"


def schemas(service: str) -> tuple[str, str]:
    """Where a service keeps its tables, and their partitions."""
    return service, f"{service}_partitions"


def databases() -> dict[str, str]:
    """The database URL of each service, from the environment. Raises ValidationError."""
    loaded = {name: settings() for name, settings in SERVICE_SETTINGS.items()}  # type: ignore[call-arg]  # The environment fills it.
    return {name: settings.database_url for name, settings in loaded.items()}


def keys(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Every secret setting of the services that is set, by variable."""
    names = {name for settings in SERVICE_SETTINGS.values() for name in _secret_variables(settings)}
    return {name: environment[name] for name in sorted(names.union(LOCAL_KEYS)) if environment.get(name)}


def _secret_variables(settings: type[BaseSettings]) -> list[str]:
    fields = settings.model_fields.values()
    return [
        name
        for field, names in zip(fields, variables(settings), strict=True)
        if field.annotation is SecretStr or SecretStr in get_args(field.annotation)
        for name in names
    ]
