"""The table of callers, for tokens of services and for certificates."""

import pytest

from services.kernel.callers import check_certified, check_service
from services.kernel.errors import Forbidden

RESOLVE = "/kontena.vault.v1.SecretDeliveryService/ResolveSecrets"
USERS = "/kontena.auth.v1.UserService/ListUsers"
EXEC = "/kontena.deploy.v1.ContainerExecService/AttachExec"
STACKS = "/kontena.deploy.v1.StackService/CreateStack"
GRIDS = "/kontena.grid.v1.GridWatchService/WatchGrids"


@pytest.mark.parametrize(("path", "service"), [(RESOLVE, "deploy_svc"), (GRIDS, "vault_svc"), (GRIDS, "deploy_svc")])
def test_a_service_that_is_in_the_table_may_call(path: str, service: str) -> None:
    check_service(path, service)


@pytest.mark.parametrize("service", ["auth_svc", "grid_svc", "vault_svc", "gateway", ""])
def test_a_service_that_is_not_may_not_whatever_its_token(service: str) -> None:
    with pytest.raises(Forbidden):
        check_service(RESOLVE, service)


@pytest.mark.parametrize(
    ("path", "name", "service"),
    [
        (USERS, "gateway", None),
        (EXEC, "exec-bridge", None),
        (RESOLVE, "deploy-svc", "deploy_svc"),
        (GRIDS, "deploy-engine", "deploy_svc"),
    ],
)
def test_a_part_that_is_in_the_table_may_call(path: str, name: str, service: str | None) -> None:
    check_certified(path, {name}, service)


@pytest.mark.parametrize(
    ("path", "name", "service"),
    [
        (USERS, "exec-bridge", None),
        (STACKS, "exec-bridge", None),
        (USERS, "deploy-svc", None),
        (RESOLVE, "gateway", "deploy_svc"),
        (RESOLVE, "deploy-engine", "deploy_svc"),
        (GRIDS, "vault-svc", "auth_svc"),
        (GRIDS, "anything", "auth_svc"),
    ],
)
def test_any_other_part_may_not(path: str, name: str, service: str | None) -> None:
    with pytest.raises(Forbidden):
        check_certified(path, {name}, service)
    with pytest.raises(Forbidden):
        check_certified(path, (), service)
