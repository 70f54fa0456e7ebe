"""Which settings of an operator reach the processes that `make up` starts."""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from pydantic_settings import BaseSettings

from agent.settings import AgentSettings
from deploy.backup.installation import SERVICE_SETTINGS
from deploy.backup.settings import BackupSettings
from deploy.local.given import OTHER_SETTINGS
from deploy.local.processes import agent_env, exec_bridge_env, gateway_env, service_env
from deploy.local.settings import SERVICES, LocalSettings, load_secrets
from gateway.exec_bridge.settings import ExecBridgeSettings
from gateway.settings import GatewaySettings
from services.kernel.settings import variables
from tests.support.pages import guide

# What `make up` decides: where things are, what listens where, who shares which secret.
DECIDED = {
    "DATABASE_URL",
    "CLUSTER_SECRET",
    "LISTEN_ADDRESS",
    "METRICS_ADDRESS",
    "ENGINE_METRICS_ADDRESS",
    "DEPLOY_ROLE",
    "MTLS_FOLDER",
    "HEALTH_ADDRESS",
    "GATEWAY_MTLS_FOLDER",
    *(f"{name.upper()}_ADDRESS" for name in SERVICES),
    "INITIAL_ADMIN_CODE",
    "VAULT_KEY",
    "GATEWAY_PORT",
    "METRICS_TOKEN",
    "GATEWAY_ADMIN_SOCKET",
    "GATEWAY_METRICS_TOKEN",
    "GATEWAY_METRICS_ADDRESS",
    "GATEWAY_ACCESS_LOG_PATH",
    "GATEWAY_EXEC_ADDRESSES",
    *(f"GATEWAY_{name.upper()}_ADDRESSES" for name in SERVICES),
    "GATEWAY_TLS_CERT_FILE",
    "GATEWAY_TLS_KEY_FILE",
    "KONTENA_URI",
    "KONTENA_GRID_TOKEN",
    "KONTENA_GRID_TOKEN_FILE",
    "KONTENA_STATE_DIR",
    "KONTENA_RUNTIME",
}
GIVEN = "set-by-the-operator"


def environments(var: Path) -> list[tuple[type[BaseSettings], Mapping[str, str]]]:
    """The settings class and the environment of each process, with every setting set by the operator."""
    local = LocalSettings(var=var, port=1, port_base=2, grid="g", node_name="", runtime="auto")
    secrets = load_secrets(local)
    services = [(SERVICE_SETTINGS[name], service_env(local, secrets, name)) for name in SERVICES]
    return [
        *services,
        (GatewaySettings, gateway_env(local)),
        (ExecBridgeSettings, exec_bridge_env(local)),
        (AgentSettings, agent_env(local, secrets)),
    ]


def test_every_setting_of_every_process_arrives_unless_the_suite_decides_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for settings in (*SERVICE_SETTINGS.values(), *OTHER_SETTINGS):
        for names in variables(settings):
            for name in names:
                monkeypatch.setenv(name, GIVEN)
    for settings, env in environments(tmp_path):
        for names in variables(settings):
            taken = [name for name in names if env.get(name) == GIVEN]
            wanted = [] if DECIDED & set(names) else list(names)
            assert taken == wanted, settings.__module__


def test_what_is_not_set_is_not_passed_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GRACE_FACTOR", "")
    monkeypatch.setenv("ADVERTISE", "no setting of anything")
    for settings, env in environments(tmp_path):
        known = {name for names in variables(settings) for name in names}
        machine = {"PATH", "HOME", "LANG", "LC_ALL", "TZ", "PYTHONPATH", "PYTHONUNBUFFERED"}
        # Services share the list of all addresses.
        assert set(env) <= known | machine, settings.__module__
        assert "GRACE_FACTOR" not in env


def test_the_guide_names_no_setting_that_nobody_reads() -> None:
    classes: list[type[BaseSettings]] = [*SERVICE_SETTINGS.values(), *OTHER_SETTINGS, BackupSettings]
    known = {name for settings in classes for names in variables(settings) for name in names}
    known |= {f"KONTENA_{name.upper()}" for name in LocalSettings.model_fields}
    named = set()
    for line in guide().splitlines():
        if line.startswith("| `"):
            named |= set(re.findall(r"`([A-Z][A-Z_]{4,})`", line.split(" | ")[0]))
    # Rows of the table of faults begin with what a log says.
    faults = {"HOLLOW RUNTIME"}
    assert {"AUDIT_RETENTION_DAYS", "KONTENA_PORT_BASE", "ADVERTISE_ADDRESS"} <= named
    assert named - faults - known == set()
