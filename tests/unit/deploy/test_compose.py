"""What deploy/compose.yaml sets is what the processes read, and nothing secret or undecided stands in it."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.roles import ROLES
from gateway.exec_bridge.settings import ExecBridgeSettings
from gateway.settings import GatewaySettings
from services.auth_svc.settings import Settings as AuthSettings
from services.deploy_svc.settings import Settings as DeploySettings
from services.grid_svc.settings import Settings as GridSettings
from services.vault_svc.settings import VaultSettings

DEPLOY = Path(__file__).parents[3] / "deploy"
TEXT = (DEPLOY / "compose.yaml").read_text()
DOCUMENT: dict[str, Any] = yaml.safe_load(TEXT)
SETTINGS: dict[str, Any] = {
    "auth_svc": AuthSettings,
    "grid_svc": GridSettings,
    "deploy_svc": DeploySettings,
    "vault_svc": VaultSettings,
    "exec_bridge": ExecBridgeSettings,
    "gateway": GatewaySettings,
}


def variables(settings: Any) -> set[str]:
    """Every environment variable that a settings class reads."""
    prefix = settings.model_config.get("env_prefix", "")
    found: set[str] = set()
    for name, field in settings.model_fields.items():
        alias = field.validation_alias
        names = [alias] if isinstance(alias, str) else list(getattr(alias, "choices", ())) or [f"{prefix}{name}"]
        found |= {str(each).upper() for each in names}
    return found


@pytest.mark.parametrize("service", SETTINGS)
def test_a_process_reads_every_variable_that_it_is_given(service: str) -> None:
    given = set(DOCUMENT["services"][service]["environment"])
    assert given <= variables(SETTINGS[service])


def test_each_process_has_a_role() -> None:
    commands = {name: one["command"][0] for name, one in DOCUMENT["services"].items() if "command" in one}
    assert set(commands.values()) <= {*ROLES, "migrate"}
    assert set(SETTINGS) < set(commands)


def test_secrets_must_be_given_and_versions_are_named() -> None:
    for name in ("POSTGRES_PASSWORD", "CLUSTER_SECRET", "VAULT_KEY", "INITIAL_ADMIN_CODE", "KONTENA_TAG"):
        uses = re.findall(r"\$\{" + name + r"([^}]*)\}", TEXT)
        assert uses, name
        assert all(use.startswith(":?") for use in uses), f"{name} must have no default"
        assert f"\n{name}=\n" in (DEPLOY / "compose.env.example").read_text()
    assert ":latest" not in TEXT
