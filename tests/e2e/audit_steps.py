"""One request for each RPC that changes something, in an order in which all of them succeed, with its audit events."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.e2e.auth_people import email
from tests.integration.vault_svc.certificates import make
from tests.support.suite import Api, soon

GRID = "audit-scratch"
EVE = email("audit-eve")
REDIRECT = {"redirect_uri": "/code"}


@dataclass(frozen=True)
class Step:
    """A request and the events it must leave, as `resource type: event`.

    `$name` in path, body and headers stands for what an earlier step kept: `keep` maps names to members of the answer.
    `before` finds out what else is needed.
    """

    rpc: str
    verb: str
    path: str
    body: Any = None
    events: tuple[str, ...] = ()
    status: int = 200
    keep: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    token: bool = True
    before: Callable[[Api, dict[str, str]], None] | None = None


def certificate(_api: Api, known: dict[str, str]) -> None:
    made = make("audit.test", kind="ec")
    known.update(certificate=made.certificate, key=made.key, chain=made.chain[0])


def grid_token(api: Api, known: dict[str, str]) -> None:
    known["join"] = api.call("GET", f"/v1/grids/{api.grid}")["token"]
    known["engine"] = api.call("GET", f"/v1/nodes/{api.grid}/local-node")["node_id"]


def deployed_container(api: Api, known: dict[str, str]) -> None:
    """The container of the service, once its deploy ended."""
    path = f"/v1/services/{api.grid}/null/audited"
    soon(lambda: "finished_at" in api.call("GET", f"{path}/deploys/{known['deploy']}"))

    def mirrored() -> bool:
        found = [one for one in api.call("GET", f"{path}/containers")["containers"] if one["status"] == "running"]
        known.update(container=found[0]["id"] if found else "")
        return bool(found)

    soon(mirrored, message="the container is known")
    known["instance"] = api.call("GET", f"{path}/instances")["instances"][0]["id"]


def provider_state(api: Api, known: dict[str, str]) -> None:
    """A login that was begun, for the user that was invited."""
    invited = {**REDIRECT, "invite_code": known["invitation"]}
    begun = httpx.get(f"{api.url}/authenticate", params=invited, timeout=60)
    known["state"] = httpx.URL(begun.headers["location"]).params["state"]


def auth() -> list[Step]:
    mint = {"response_type": "token", "scope": "user", "expires_in": 600}
    tokens, roles = "/oauth2/tokens/$made", f"/v1/users/{EVE}/roles"
    refresh = {"grant_type": "refresh_token", "refresh_token": "$refresh"}
    user = ("User: authenticate", "AccessToken: create")
    return [
        Step("OAuthService/Authorize", "POST", "/oauth2/authorize", mint, ("AccessToken: create",), 201,
             {"made": "id"}),
        Step("AccessTokenService/DeleteAccessToken", "DELETE", tokens, None, ("AccessToken: delete",)),
        Step("OAuthService/Authorize", "POST", "/oauth2/authorize", mint | {"response_type": "code"},
             ("AccessToken: create",), 201, {"code": "code"}),
        Step("OAuthService/ExchangeToken", "POST", "/oauth2/token",
             {"grant_type": "authorization_code", "code": "$code"}, ("AccessToken: create",),
             keep={"refresh": "refresh_token"}, token=False),
        Step("OAuthService/ExchangeToken", "POST", "/oauth2/token", refresh, ("AccessToken: refresh",), token=False),
        # Used twice: what came from it ends.
        Step("OAuthService/ExchangeToken", "POST", "/oauth2/token", refresh, ("AccessToken: revoke",), 400,
             token=False),
        Step("OAuthService/Authorize", "POST", "/oauth2/authorize", {"response_type": "invite", "email": EVE},
             ("User: create", "User: invite"), 201, {"invitation": "invite_code"}),
        Step("OAuthService/Callback", "GET", "/cb?state=$state&code=x", None, user, 302, token=False,
             before=provider_state),
        Step("UserService/AssignRole", "POST", roles, {"role": "viewer"}, ("User: assign role",), 201),
        Step("UserService/AssignRole", "POST", roles, {"role": "viewer"}, (), 201),
        Step("UserService/UnassignRole", "DELETE", f"{roles}/viewer", None, ("User: unassign role",)),
        Step("GridUserService/AddGridUser", "POST", "/v1/grids/$grid/users", {"email": EVE},
             ("User: assign user",), 201),
        Step("GridUserService/RemoveGridUser", "DELETE", f"/v1/grids/$grid/users/{EVE}", None,
             ("User: unassign user",)),
        Step("UserService/DeleteUser", "DELETE", f"/v1/users/{EVE}", None, ("User: delete",)),
        Step("ConfigService/UpdateConfig", "PATCH", "/v1/config", {"audit.a": 1, "audit.b_secret": "x"},
             ("config: modify", "config: modify")),
        Step("ConfigService/UpdateConfig", "PATCH", "/v1/config", {"audit.a": 1, "audit.b_secret": "x"}),
        Step("ConfigService/DeleteConfigKey", "DELETE", "/v1/config/audit.a", None, ("config: modify",)),
        Step("ConfigService/ReplaceConfig", "PUT", "/v1/config", {"audit.c": [1]},
             ("config: destroy_all", "config: modify")),
        Step("ConfigService/ClearConfig", "DELETE", "/v1/config", None, ("config: destroy_all",)),
    ]  # fmt: skip


def grids() -> list[Step]:
    grid, node = f"/v1/grids/{GRID}", f"/v1/nodes/{GRID}/n1"
    return [
        Step("GridService/CreateGrid", "POST", "/v1/grids", {"name": GRID}, ("Grid: create",), 201),
        Step("GridService/UpdateGrid", "PUT", grid, {"default_affinity": ["label==a"]}, ("Grid: update",)),
        Step("GridService/RotateGridToken", "PUT", f"{grid}/token", {}, ("Grid: rotate token",)),
        Step("NodeService/CreateNode", "POST", f"{grid}/nodes", {"name": "n1"}, ("HostNode: create",), 201),
        Step("NodeService/UpdateNode", "PUT", node, {"labels": ["a=b"]}, ("HostNode: update",)),
        Step("NodeTokenService/SetNodeToken", "PUT", f"{node}/token", {}, ("HostNode: update token",)),
        Step("NodeTokenService/ClearNodeToken", "DELETE", f"{node}/token", {}, ("HostNode: clear token",)),
        Step("NodeKeyService/ResetNodeKey", "DELETE", f"{node}/key", None, ("HostNode: reset key",)),
        Step("NodeService/DeleteNode", "DELETE", node, None, ("HostNode: remove node",)),
        Step("GridService/DeleteGrid", "DELETE", grid, None, ("Grid: delete",)),
        Step("LegacyNodeService/UpdateLegacyNode", "PUT", "/v1/nodes/$engine", {"labels": ["audit=1"]},
             ("HostNode: update",), headers={"Kontena-Grid-Token": "$join"}, token=False, before=grid_token),
        Step("NodeService/UpdateNode", "PUT", "/v1/nodes/$grid/local-node", {"labels": []}, ("HostNode: update",)),
    ]  # fmt: skip


def deploy(image: str) -> list[Step]:
    service, stack = "/v1/services/$grid/null/audited", "/v1/stacks/$grid/audited"
    body = {"image": image, "stateful": False, "cmd": ["sleep", "1000"], "stop_grace_period": "0s", "name": "audited"}
    one = {**body, "name": "one"}
    quick = {"name": "audited", "stack": "a/b", "version": "1", "registry": "file://", "source": "", "services": [one]}
    document = {**quick, "services": [{**one, "deploy_opts": {"wait_for_port": 9}}]}
    box = "/v1/containers/$container"
    return [
        Step("ServiceService/CreateService", "POST", "/v1/grids/$grid/services", body, ("GridService: create",), 201),
        Step("ServiceService/UpdateService", "PUT", service, {"env": ["A=1"]}, ("GridService: update",)),
        Step("ServiceService/DeployService", "POST", f"{service}/deploy", {}, ("GridService: deploy",),
             keep={"deploy": "id"}),
        Step("ContainerService/InspectContainer", "GET", f"{box}/inspect", None, ("Container: inspect",),
             before=deployed_container),
        Step("ContainerService/ExecContainer", "POST", f"{box}/exec", {"cmd": ["true"]}, ("Container: exec",)),
        # Nothing opens this port, so the deploy goes on until it is canceled.
        Step("ServiceService/UpdateService", "PUT", service, {"deploy_opts": {"wait_for_port": 9}},
             ("GridService: update",)),
        Step("ServiceService/DeployService", "POST", f"{service}/deploy", {}, ("GridService: deploy",),
             keep={"endless": "id"}),
        Step("ServiceService/CancelServiceDeploy", "POST", f"{service}/deploys/$endless/cancel", {},
             ("GridService: cancel_deploy",)),
        Step("ServiceService/UpdateService", "PUT", service, {"deploy_opts": {"wait_for_port": None}},
             ("GridService: update",)),
        Step("ServiceService/PlanService", "POST", f"{service}/plan", {"env": ["A=2"]}),
        Step("ServiceService/RollbackService", "POST", f"{service}/rollback", {"revision": 1},
             ("GridService: rollback",), keep={"deploy": "id"}),
        Step("ServiceService/DeployAndFollowService", "POST", f"{service}/deploy?follow=1", {},
             ("GridService: deploy",)),
        # All is on one node.
        Step("ServiceService/PlanServiceRebalance", "POST", f"{service}/rebalance/plan", {}),
        Step("ServiceService/RebalanceService", "POST", f"{service}/rebalance", {}),
        Step("ServiceService/PlanGridRebalance", "POST", "/v1/grids/$grid/rebalance/plan", {}),
        Step("ServiceService/RebalanceGrid", "POST", "/v1/grids/$grid/rebalance", {}),
        Step("ServiceService/AddServiceEnv", "POST", f"{service}/envs", {"env": "B=1"}, ("GridService: add_env",)),
        Step("ServiceService/RemoveServiceEnv", "DELETE", f"{service}/envs/B", None, ("GridService: remove_env",)),
        Step("ServiceService/StopService", "POST", f"{service}/stop", {}, ("GridService: stop",)),
        Step("ServiceService/StartService", "POST", f"{service}/start", {}, ("GridService: start",)),
        Step("ServiceService/RestartService", "POST", f"{service}/restart", {}, ("GridService: restart",)),
        Step("ServiceService/ScaleService", "POST", f"{service}/scale", {"instances": 1}, ("GridService: scale",)),
        Step("InstanceService/DeleteInstance", "DELETE", f"{service}/instances/$instance", None,
             ("GridService: delete_instance",)),
        Step("ServiceService/DeleteService", "DELETE", service, None, ("GridService: delete",)),
        Step("StackService/PlanNewStack", "POST", "/v1/grids/$grid/stacks/plan", document),
        Step("StackConversionService/ConvertStack", "POST", "/v1/grids/$grid/stacks/convert",
             {"files": {"compose.yaml": "name: audited\nservices: {one: {image: a}}"}}),
        Step("StackService/CreateStack", "POST", "/v1/grids/$grid/stacks", quick, ("Stack: create",), 201),
        Step("StackService/DeployAndFollowStack", "POST", f"{stack}/deploy?follow=1", {}, ("Stack: deploy",)),
        Step("StackService/PlanStack", "POST", f"{stack}/plan", {**document, "version": "2"}),
        Step("StackService/UpdateStack", "PUT", stack, {**document, "version": "2"}, ("Stack: update",)),
        Step("StackService/DeployStack", "POST", f"{stack}/deploy", {}, ("Stack: deploy",),
             keep={"stack_deploy": "id"}),
        Step("StackService/CancelStackDeploy", "POST", f"{stack}/deploys/$stack_deploy/cancel", {},
             ("Stack: cancel_deploy",)),
        Step("StackService/RollbackStack", "POST", f"{stack}/rollback", {"revision": 1}, ("Stack: rollback",)),
        Step("StackService/StopStack", "POST", f"{stack}/stop", {}, ("Stack: stop",)),
        Step("StackService/RestartStack", "POST", f"{stack}/restart", {}, ("Stack: restart",)),
        Step("StackService/DeleteStack", "DELETE", stack, None, ("Stack: delete",)),
        Step("GridConfigService/CreateGridConfig", "POST", "/v1/grids/$grid/configs",
             {"name": "audited.conf", "content": "one"}, ("GridConfig: create",), 201),
        Step("GridConfigService/UpdateGridConfig", "PUT", "/v1/configs/$grid/audited.conf", {"content": "two"},
             ("GridConfig: update",)),
        Step("GridConfigService/DeleteGridConfig", "DELETE", "/v1/configs/$grid/audited.conf", None,
             ("GridConfig: delete",)),
        Step("VolumeService/CreateVolume", "POST", "/v1/volumes/$grid",
             {"name": "audited", "scope": "grid", "driver": "local"}, ("Volume: create",), 201),
        Step("VolumeService/DeleteVolume", "DELETE", "/v1/volumes/$grid/audited", None, ("Volume: delete",)),
    ]  # fmt: skip


def vault() -> list[Step]:
    secret, registries = "/v1/secrets/$grid/AUDITED", "/v1/grids/$grid/external_registries"
    created = ("Registry: create",)
    registry = {"url": "https://audit.test", "username": "u", "email": "u@audit.test", "password": "p"}
    certificates = "/v1/certificates/$grid/audit.test"
    imported = {"certificate": "$certificate", "private_key": "$key", "chain": ["$chain"]}
    return [
        Step("SecretService/CreateSecret", "POST", "/v1/grids/$grid/secrets", {"name": "AUDITED", "value": "a"},
             ("GridSecret: create",), 201),
        Step("SecretService/GetSecret", "GET", secret, None, ("GridSecret: show",)),
        Step("SecretService/UpdateSecret", "PUT", secret, {"value": "b"}, ("GridSecret: update",)),
        Step("SecretService/PutGridSecret", "PUT", "/v1/grids/$grid/secrets/AUDITED", {"value": "c"},
             ("GridSecret: update",)),
        Step("SecretService/DeleteSecret", "DELETE", secret, None, ("GridSecret: delete",)),
        Step("ExternalRegistryService/CreateExternalRegistry", "POST", registries, registry, created, 201),
        Step("ExternalRegistryService/DeleteExternalRegistry", "DELETE", "/v1/external_registries/$grid/audit.test",
             None, ("Registry: delete",)),
        Step("ExternalRegistryService/CreateExternalRegistry", "POST", registries, registry, created, 201),
        Step("ExternalRegistryService/DeleteGridExternalRegistry", "DELETE", f"{registries}/audit.test", None,
             ("Registry: delete",)),
        Step("CertificateService/ImportCertificate", "PUT", certificates, imported, ("Certificate: create",), 201,
             before=certificate),
        Step("CertificateService/ExportCertificate", "GET", f"{certificates}/export", None, ("Certificate: export",)),
        Step("CertificateService/DeleteCertificate", "DELETE", certificates, None, ("Certificate: delete",)),
    ]  # fmt: skip


def steps(image: str) -> list[tuple[str, Step]]:
    """All of them, each under the path of its RPC."""
    areas = {"auth": auth(), "grid": grids(), "deploy": deploy(image), "vault": vault()}
    return [(f"/kontena.{area}.v1.{step.rpc}", step) for area, found in areas.items() for step in found]


def filled(value: Any, known: Mapping[str, str]) -> Any:
    """The value with what earlier steps kept in place of `$name`."""
    if isinstance(value, dict):
        return {name: filled(inner, known) for name, inner in value.items()}
    if isinstance(value, list):
        return [filled(inner, known) for inner in value]
    if not isinstance(value, str):
        return value
    for name in sorted(known, key=len, reverse=True):
        value = value.replace(f"${name}", known[name])
    return value
