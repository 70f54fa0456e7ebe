from typing import Any

import pytest
from pydantic import ValidationError

from services.kernel.settings import ServiceSettings

GIVEN: dict[str, Any] = {
    "database_url": "postgresql://u:hunter2@h/d",
    "cluster_secret": "x" * 16,
    "listen_address": "127.0.0.1:1",
}


@pytest.mark.parametrize("url", ["mysql://u:hunter2@h/d", "sqlite:///d", "h:5432", ""])
def test_only_a_postgres_is_taken_for_a_database(url: str) -> None:
    with pytest.raises(ValidationError, match="only Postgres works") as refused:
        ServiceSettings(**(GIVEN | {"database_url": url}))
    assert "hunter2" not in str(refused.value)


def test_several_servers_of_a_database_are_taken_and_a_wrong_port_is_not() -> None:
    url = "postgresql://u:hunter2@one:5432,[fd00::2]:5433,three/d"
    assert ServiceSettings(**(GIVEN | {"database_url": url})).database_url == url
    with pytest.raises(ValidationError, match="'54x' is no port") as refused:
        ServiceSettings(**(GIVEN | {"database_url": "postgresql://u:hunter2@one:54x/d"}))
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("name", ["auth_address", "grid_address", "deploy_address", "vault_address"])
def test_an_address_of_another_service_must_be_one(name: str) -> None:
    with pytest.raises(ValidationError, match="is not host:port"):
        ServiceSettings(**(GIVEN | {name: "grid_svc"}))
    assert getattr(ServiceSettings(**(GIVEN | {name: "one:1,[::1]:2"})), name) == "one:1,[::1]:2"
