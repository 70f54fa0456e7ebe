"""What tokens give that have less than the rights of their owner."""

import pytest

from gateway.catalog import load_descriptors, services
from kontena.common.v1 import options_pb2
from services.kernel import scopes
from services.kernel.errors import Forbidden
from services.kernel.methods import Method
from services.kernel.principal import Principal
from tests.support.suite import REPOSITORY

READ = frozenset({"read"})
DEPLOY = frozenset({"grid:alpha:deploy"})
FULL = (frozenset[str](), frozenset({"user"}), frozenset({"user", "owner"}))


def method(path: str, *, reads: bool = False) -> Method:
    return Method(path, options_pb2.AUDIENCE_PUBLIC, open=False, reads=reads)


def allowed(held: frozenset[str], called: Method) -> bool:
    try:
        scopes.check(Principal("user", scopes=held), called)
    except Forbidden:
        return False
    return True


def test_every_method_of_the_table_exists() -> None:
    catalog = services(load_descriptors(REPOSITORY / "gen" / "descriptors.binpb"))
    assert {one.path for service in catalog for one in service.methods} >= scopes.DEPLOY_METHODS


@pytest.mark.parametrize("held", FULL)
def test_full_tokens_may_call_anything(held: frozenset[str]) -> None:
    assert allowed(held, method("/kontena.grid.v1.GridService/DeleteGrid"))


def test_limited_tokens_read_and_deploy_and_nothing_else() -> None:
    deploy = method("/kontena.deploy.v1.StackService/DeployStack")
    others = (
        "deploy.v1.ServiceService/DeleteService",
        "deploy.v1.ContainerExecService/AttachExec",
        "deploy.v1.VolumeService/CreateVolume",
        "vault.v1.SecretService/UpdateSecret",
    )
    assert (allowed(READ, deploy), allowed(DEPLOY, deploy)) == (False, True)
    for held in (READ, DEPLOY, frozenset({"something-new"}), frozenset({"user", "something-new"})):
        assert allowed(held, method("/x/Get", reads=True))
        assert not any(allowed(held, method(f"/kontena.{path}")) for path in others)


@pytest.mark.parametrize("owner", [{"email": "admin"}, {"roles": frozenset({"master_admin"})}])
def test_no_role_of_the_owner_counts_for_a_limited_token(owner: dict[str, object]) -> None:
    def with_scopes(held: frozenset[str]) -> Principal:
        return Principal("user", grid_ids=frozenset({"g1"}), scopes=held, **owner)  # type: ignore[arg-type]

    full, reader, deployer = with_scopes(frozenset({"user"})), with_scopes(READ), with_scopes(DEPLOY)
    assert (full.is_master_admin, full.is_grid_admin("g2"), full.may_change("g2")) == (True, True, True)
    # A reader sees what its owner sees, and nothing that is secret: that is for whoever may change.
    assert (reader.is_master_admin, reader.has_access("g2"), reader.is_grid_admin("g1")) == (False, True, False)
    assert (reader.may_change("g1"), reader.sees_all_grids) == (False, True)
    assert (deployer.is_master_admin, deployer.has_access("g2"), deployer.is_grid_admin("g1")) == (False, False, False)
    seen = [one.may_read_values("g1") for one in (full, reader, deployer)]
    assert seen == [True, False, False]
    assert (deployer.may_change("g1"), deployer.may_change("g2"), deployer.sees_all_grids) == (True, False, False)
