"""What an operator may set for the processes in the environment of `make up`: everything that they read, except what
the suite decides itself. Derived from the settings classes, so a new setting needs no line here."""

import os
from collections.abc import Iterable, Iterator

from pydantic import AliasChoices
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

from agent.settings import AgentSettings
from gateway.exec_bridge.settings import ExecBridgeSettings
from gateway.settings import GatewaySettings
from services.auth_svc.settings import Settings as AuthSettings
from services.deploy_svc.settings import Settings as DeploySettings
from services.grid_svc.settings import Settings as GridSettings
from services.vault_svc.settings import VaultSettings

SERVICE_SETTINGS: dict[str, type[BaseSettings]] = {
    "auth": AuthSettings,
    "grid": GridSettings,
    "deploy": DeploySettings,
    "vault": VaultSettings,
}
OTHER_SETTINGS: tuple[type[BaseSettings], ...] = (GatewaySettings, ExecBridgeSettings, AgentSettings)


def given(settings: type[BaseSettings], own: Iterable[str]) -> dict[str, str]:
    """The variables of `settings` that are set here, without those of fields that the suite sets itself (`own`)."""
    decided = set(own)
    names = {name for field in variables(settings) if not decided & set(field) for name in field}
    return {name: os.environ[name] for name in sorted(names) if os.environ.get(name)}


def variables(settings: type[BaseSettings]) -> Iterator[tuple[str, ...]]:
    """The names under which each field is read."""
    for name, field in settings.model_fields.items():
        yield _names(settings, name, field)


def _names(settings: type[BaseSettings], name: str, field: FieldInfo) -> tuple[str, ...]:
    match field.validation_alias:
        case AliasChoices(choices=choices):
            return tuple(str(choice).upper() for choice in choices)
        case str(alias):
            return (alias.upper(),)
    return (f"{settings.model_config.get('env_prefix', '')}{name}".upper(),)
