"""Which settings class each role of the images reads."""

from pydantic_settings import BaseSettings

from agent.settings import AgentSettings
from deploy.local.given import SERVICE_SETTINGS, variables
from gateway.exec_bridge.settings import ExecBridgeSettings
from gateway.settings import GatewaySettings

SETTINGS: dict[str, type[BaseSettings]] = {
    **{f"{name}_svc": settings for name, settings in SERVICE_SETTINGS.items()},
    "exec_bridge": ExecBridgeSettings,
    "gateway": GatewaySettings,
    "agent": AgentSettings,
}
SECRETS = {
    "DATABASE_URL",
    "CLUSTER_SECRET",
    "VAULT_KEY",
    "VAULT_OLD_KEYS",
    "INITIAL_ADMIN_CODE",
    "TOKEN_DIGEST_KEY",
    "KONTENA_GRID_TOKEN",
    "KONTENA_NODE_TOKEN",
    "AUTH_CLIENT_SECRET",
    "ACME_EAB_HMAC_KEY",
}


def read_by(role: str) -> set[str]:
    """Every environment variable that a role reads; `migrate` reads what the services do."""
    classes = [SETTINGS[role]] if role in SETTINGS else list(SERVICE_SETTINGS.values())
    return {name for settings in classes for names in variables(settings) for name in names}
