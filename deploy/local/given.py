"""What an operator may set for the processes in the environment of `make up`: everything that they read, except what
the suite decides itself. Derived from the settings classes, so a new setting needs no line here."""

import os
from collections.abc import Iterable

from pydantic_settings import BaseSettings

from agent.settings import AgentSettings
from gateway.exec_bridge.settings import ExecBridgeSettings
from gateway.settings import GatewaySettings
from services.kernel.settings import variables

OTHER_SETTINGS: tuple[type[BaseSettings], ...] = (GatewaySettings, ExecBridgeSettings, AgentSettings)


def given(settings: type[BaseSettings], own: Iterable[str]) -> dict[str, str]:
    """The variables of `settings` that are set here, without those of fields that the suite sets itself (`own`)."""
    decided = set(own)
    names = {name for field in variables(settings) if not decided & set(field) for name in field}
    return {name: os.environ[name] for name in sorted(names) if os.environ.get(name)}
