"""What deploy/compose.yaml sets is what the processes read, and nothing secret or undecided stands in it."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.roles import ROLES
from services.deploy_svc.clients.conversion_process import compose_schema
from services.deploy_svc.domain.compose.schema import compiled
from tests.support.roles import SETTINGS, read_by

DEPLOY = Path(__file__).parents[3] / "deploy"
TEXT = (DEPLOY / "compose.yaml").read_text()
DOCUMENT: dict[str, Any] = yaml.safe_load(TEXT)
PROCESSES = sorted(set(SETTINGS) - {"agent"})


@pytest.mark.parametrize("service", PROCESSES)
def test_a_process_reads_every_variable_that_it_is_given(service: str) -> None:
    given = set(DOCUMENT["services"][service]["environment"])
    assert given <= read_by(service)


def test_both_generations_of_compose_take_it() -> None:
    """Debian's 1.29 runs it in tests/containers; the specification is what version 2 reads."""
    valid = compiled(compose_schema()).is_valid
    assert valid(DOCUMENT)
    assert not valid(DOCUMENT | {"services": {"auth_svc": {"image": "a", "comand": ["auth_svc"]}}}), "a typo is found"


def test_each_process_has_a_role() -> None:
    commands = {name: one["command"][0] for name, one in DOCUMENT["services"].items() if "command" in one}
    assert set(commands.values()) <= {*ROLES, "migrate"}
    assert set(PROCESSES) < set(commands)


def test_secrets_must_be_given_and_versions_are_named() -> None:
    passwords = [f"{name}_DATABASE_PASSWORD" for name in ("AUTH", "GRID", "DEPLOY", "VAULT")]
    keys = ("CLUSTER_SECRET", "METRICS_TOKEN", "VAULT_KEY", "INITIAL_ADMIN_CODE")
    for name in (*passwords, "POSTGRES_PASSWORD", *keys, "KONTENA_TAG"):
        uses = re.findall(r"\$\{" + name + r"([^}]*)\}", TEXT)
        assert uses, name
        assert all(use.startswith(":?") for use in uses), f"{name} must have no default"
        assert f"\n{name}=\n" in (DEPLOY / "compose.env.example").read_text()
    assert ":latest" not in TEXT


def test_every_process_finds_the_database_where_the_operator_says() -> None:
    urls = re.findall(r"DATABASE_URL: (.*)", TEXT)
    assert len(urls) == 9
    assert all(url.endswith("@${POSTGRES_HOSTS:-postgres:5432}/kontena") for url in urls)
