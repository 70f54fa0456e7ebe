"""Which settings class each role of the images reads."""

from pydantic_settings import BaseSettings

from agent.settings import AgentSettings
from deploy.backup.installation import SERVICE_SETTINGS
from deploy.backup.settings import BackupSettings
from gateway.exec_bridge.settings import ExecBridgeSettings
from gateway.settings import GatewaySettings
from services.kernel.settings import variables

SETTINGS: dict[str, type[BaseSettings]] = {
    **{f"{name}_svc": settings for name, settings in SERVICE_SETTINGS.items()},
    "exec_bridge": ExecBridgeSettings,
    "gateway": GatewaySettings,
    "agent": AgentSettings,
    "backup": BackupSettings,
}
SECRETS = {
    "DATABASE_URL",
    "ADMIN_DATABASE_URL",
    "AUTH_DATABASE_URL",
    "GRID_DATABASE_URL",
    "DEPLOY_DATABASE_URL",
    "VAULT_DATABASE_URL",
    "CLUSTER_SECRET",
    "VAULT_KEY",
    "VAULT_OLD_KEYS",
    "INITIAL_ADMIN_CODE",
    "TOKEN_DIGEST_KEY",
    "KONTENA_GRID_TOKEN",
    "KONTENA_NODE_TOKEN",
    "AUTH_CLIENT_SECRET",
    "ACME_EAB_HMAC_KEY",
    "BACKUP_PASSPHRASE",
    "METRICS_TOKEN",
    "GATEWAY_METRICS_TOKEN",
}


def read_by(role: str) -> set[str]:
    """Every environment variable that a role reads; `migrate` and `backup` read what the services do."""
    own = [SETTINGS[role]] if role in SETTINGS else []
    classes = [*own, *(SERVICE_SETTINGS.values() if role == "backup" or not own else [])]
    more = {"ADMIN_DATABASE_URL"} if role == "migrate" else set()
    return more | {name for settings in classes for names in variables(settings) for name in names}
