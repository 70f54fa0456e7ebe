"""Who may call what: one row for each RPC of the public services (docs/spec/auth_grid.md section 2.2)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kontena.deploy.v1.container_exec_pb2 import AttachExecRequest, ExecStart
from tests.e2e.auth_people import PROVIDER, email
from tests.support.suite import Api

GRID = "permission-matrix"
NODE = "matrix-node"
HOST_LEVEL = "host-level"
HOST_LEVEL_PATH = f"/v1/services/{GRID}/null/{HOST_LEVEL}"
VICTIM = email("victim")
INVITED = email("invited")

# Name of a user: the roles held, and whether a member of the grid.
USERS: dict[str, tuple[tuple[str, ...], bool]] = {
    "outsider": ((), False),
    "outside-viewer": (("viewer",), False),
    "outside-grid-admin": (("grid_admin",), False),
    "user-admin": (("user_admin",), False),
    "member": ((), True),
    "viewer": (("viewer",), True),
    "viewer-user-admin": (("viewer", "user_admin"), True),
    "grid-admin": (("grid_admin",), True),
    "member-user-admin": (("user_admin",), True),
    "master-admin": (("master_admin",), False),
}
# Callers whose token is none. The last two had a good one, as members of the grid.
STRANGERS = frozenset({"anonymous", "garbage", "revoked", "expired"})
# Callers with a token that gives less than its owner, a master_admin, has.
LIMITED = {"read-token": "read", "deploy-token": f"grid:{GRID}:deploy"}

EVERY_USER = frozenset(USERS)
EVERY_TOKEN = EVERY_USER | frozenset(LIMITED)
ANYBODY = EVERY_TOKEN | STRANGERS
NOBODY = frozenset[str]()
MASTERS = frozenset({"master-admin"})
USER_ADMINS = MASTERS | {"user-admin", "viewer-user-admin", "member-user-admin"}
MEMBERS = MASTERS | {name for name, (_, member) in USERS.items() if member}
CHANGERS = MEMBERS - {"viewer", "viewer-user-admin"}
GRID_ADMINS = MASTERS | {"grid-admin"}
MEMBER_ADMINS = GRID_ADMINS | {"member-user-admin", "viewer-user-admin"}

Prepare = Callable[[Api], dict[str, str]]


@dataclass(frozen=True)
class Call:
    """One way to call an RPC. Whoever is not allowed is refused: 401 without a good token, else as the endpoint does.

    `prepare` makes what the call needs and returns values for placeholders in `path`. Without a path the ids are
    those of the matrix' grid and node, or unknown. `message` is for RPCs that have no REST form.
    """

    allowed: frozenset[str]
    body: Any = None
    path: str | None = None
    prepare: Prepare = lambda _admin: {}
    message: Any = None


def provider(admin: Api) -> dict[str, str]:
    """A provider: the rows about the configuration take it away."""
    admin.call("PATCH", "/v1/config", PROVIDER)
    return {}


def victim(admin: Api) -> dict[str, str]:
    """A user whom nobody minds losing, without any right."""
    provider(admin)
    admin.request("DELETE", f"/v1/users/{VICTIM}")
    admin.call("POST", "/oauth2/authorize", {"response_type": "invite", "email": VICTIM}, status=201)
    return {}


def strong_victim(admin: Api) -> dict[str, str]:
    """The same, made one who has a right."""
    victim(admin)
    admin.call("POST", f"/v1/users/{VICTIM}/roles", {"role": "grid_admin"}, status=201)
    return {}


def strangers_token(admin: Api) -> dict[str, str]:
    """A token of the local administrator."""
    body = {"response_type": "token", "scope": "user", "expires_in": "60"}
    return {"token": admin.call("POST", "/oauth2/authorize", body, status=201)["id"]}


def node(admin: Api) -> dict[str, str]:
    answer = admin.request("POST", f"/v1/grids/{GRID}/nodes", {"name": NODE})
    assert answer.status_code in (201, 422), answer.text
    return {}


def service(admin: Api) -> dict[str, str]:
    """A service that is never deployed and keeps its grid from being deleted."""
    body = {"name": "guard", "image": "none", "stateful": False}
    assert admin.request("POST", f"/v1/grids/{GRID}/services", body).status_code in (201, 422)
    return {}


def host_level(admin: Api) -> dict[str, str]:
    """A service that reaches its node."""
    body = {"name": HOST_LEVEL, "image": "none", "stateful": False, "net": "host"}
    assert admin.request("POST", f"/v1/grids/{GRID}/services", body).status_code in (201, 422)
    return {}


def scratch_grid(admin: Api) -> dict[str, str]:
    admin.request("DELETE", "/v1/grids/matrix-scratch")
    return {}


READ = (Call(MEMBERS | frozenset(LIMITED)),)
CHANGE = (Call(CHANGERS, {}),)
# What a token for a CI is for.
DEPLOYERS = CHANGERS | {"deploy-token"}
ROLL_OUT = (Call(DEPLOYERS, {}),)
# Values of secrets and private keys: not for viewers.
REVEAL = (Call(CHANGERS),)
ADMINISTER = (Call(GRID_ADMINS, {}, prepare=node),)
MASTER = (Call(MASTERS),)

MINT = {"response_type": "token", "scope": "user", "expires_in": "60"}
INVITE = {"response_type": "invite", "email": INVITED}
GUESS = {"grant_type": "authorization_code", "code": "no-such-code"}
EXEC = AttachExecRequest(start=ExecStart(id=f"{GRID}/{NODE}/no-such-container"))

Rows = dict[str, tuple[Call, ...]]

AUTH: Rows = {
    "AccessTokenService/ListAccessTokens": (Call(EVERY_TOKEN),),
    "AccessTokenService/GetAccessToken": (Call(MASTERS, path="/oauth2/tokens/{token}", prepare=strangers_token),),
    "AccessTokenService/DeleteAccessToken": (Call(MASTERS, path="/oauth2/tokens/{token}", prepare=strangers_token),),
    "AuditLogService/ListAuditLogs": MASTER,
    "AuditLogService/ListGridAuditLogs": READ,
    "ConfigService/GetConfig": MASTER,
    "ConfigService/GetConfigKey": MASTER,
    "ConfigService/UpdateConfig": (Call(MASTERS, {"matrix.key": 1}),),
    "ConfigService/ReplaceConfig": (Call(MASTERS, {"matrix.key": 2}),),
    "ConfigService/ClearConfig": MASTER,
    "ConfigService/DeleteConfigKey": MASTER,
    "GridUserService/ListGridUsers": READ,
    "GridUserService/AddGridUser": (Call(MEMBER_ADMINS, {"email": VICTIM}, prepare=victim),),
    "GridUserService/RemoveGridUser": (
        Call(MEMBER_ADMINS, path=f"/v1/grids/{GRID}/users/{VICTIM}", prepare=victim),
    ),
    "OAuthService/ExchangeToken": (Call(ANYBODY, GUESS),),
    "OAuthService/Authorize": (
        Call(EVERY_USER, MINT),
        Call(MASTERS, {**MINT, "user": "admin"}),
        Call(USER_ADMINS, INVITE, prepare=provider),
        # Nor to log in as.
        Call(MASTERS, {"response_type": "invite", "email": VICTIM}, prepare=strong_victim),
    ),
    "OAuthService/Authenticate": (Call(ANYBODY),),
    "OAuthService/Callback": (Call(ANYBODY),),
    "OAuthService/GetCodePage": (Call(ANYBODY),),
    "OAuthService/LogInWithPassword": (Call(NOBODY, {}),),
    "UserService/GetCurrentUser": (Call(EVERY_TOKEN),),
    "UserService/ListUsers": (Call(USER_ADMINS),),
    "UserService/DeleteUser": (
        Call(USER_ADMINS, path=f"/v1/users/{VICTIM}", prepare=victim),
        # Whoever holds a right that the caller does not is not the caller's to remove.
        Call(MASTERS, path=f"/v1/users/{VICTIM}", prepare=strong_victim),
    ),
    "UserService/AssignRole": (
        Call(MASTERS, {"role": "viewer"}, path=f"/v1/users/{VICTIM}/roles", prepare=victim),
    ),
    "UserService/UnassignRole": (Call(MASTERS, path=f"/v1/users/{VICTIM}/roles/viewer", prepare=victim),),
}  # fmt: skip
GRIDS: Rows = {
    "GridService/ListGrids": (Call(EVERY_TOKEN),),
    "GridService/CreateGrid": (Call(MASTERS, {"name": "matrix-scratch"}, prepare=scratch_grid),),
    "GridService/GetGrid": READ,
    "GridService/UpdateGrid": (Call(GRID_ADMINS, {}),),
    "GridService/RotateGridToken": (Call(GRID_ADMINS, {}),),
    "GridService/DeleteGrid": (Call(MASTERS, prepare=service),),
    # These ask for the join token of a grid instead of a user's: without one every node is unknown.
    "LegacyNodeService/GetLegacyNode": (Call(ANYBODY, path="/v1/nodes/NOSUCH:ENGINE"),),
    "LegacyNodeService/UpdateLegacyNode": (Call(ANYBODY, {}, path="/v1/nodes/NOSUCH:ENGINE"),),
    "GridJoinService/GetGridJoin": ADMINISTER,
    "MetricsService/GetNodeMetrics": READ,
    "MetricsService/GetGridMetrics": READ,
    "NodeService/ListNodes": READ,
    "NodeService/CreateNode": (Call(GRID_ADMINS, {"name": NODE}),),
    "NodeService/GetNodeHealth": READ,
    "NodeService/GetNode": READ,
    "NodeService/UpdateNode": CHANGE,
    "NodeService/DeleteNode": CHANGE,
    "NodeTokenService/GetNodeToken": ADMINISTER,
    "NodeTokenService/SetNodeToken": ADMINISTER,
    "NodeTokenService/ClearNodeToken": ADMINISTER,
    "NodeKeyService/ResetNodeKey": ADMINISTER,
}
DEPLOY: Rows = {
    "ContainerExecService/AttachExec": (Call(CHANGERS, message=EXEC),),
    "ContainerLogService/ListServiceLogs": READ,
    "ContainerLogService/ListGridLogs": READ,
    "ContainerLogService/ListStackLogs": READ,
    "ContainerLogService/ListContainerLogs": READ,
    "ContainerService/ListContainers": READ,
    "ContainerService/ListServiceContainers": READ,
    "ContainerService/GetContainer": READ,
    "ContainerService/InspectContainer": READ,
    "ContainerService/TopContainer": READ,
    "ContainerService/ExecContainer": CHANGE,
    "ContainerStatsService/ListServiceStats": READ,
    "ContainerStatsService/ListGridStats": READ,
    "ContainerStatsService/ListNodeStats": READ,
    "ContainerStatsService/GetServiceMetrics": READ,
    "EventLogService/ListGridEventLogs": READ,
    "EventLogService/ListStackEventLogs": READ,
    "EventLogService/ListServiceEventLogs": READ,
    "InstanceService/ListInstances": READ,
    "InstanceService/GetInstance": READ,
    "InstanceService/DeleteInstance": CHANGE,
    "ServiceService/ListServices": READ,
    "ServiceService/CreateService": (
        Call(DEPLOYERS, {}),
        # A new grid keeps its nodes to its admins.
        Call(GRID_ADMINS, {"name": HOST_LEVEL, "image": "none", "stateful": False, "net": "host"}),
    ),
    "ServiceService/GetService": READ,
    "ServiceService/UpdateService": (
        Call(DEPLOYERS, {}),
        Call(GRID_ADMINS, {"image": "other"}, path=HOST_LEVEL_PATH, prepare=host_level),
    ),
    "ServiceService/DeleteService": CHANGE,
    "ServiceService/DeployService": (
        Call(DEPLOYERS, {}),
        Call(GRID_ADMINS, {}, path=f"{HOST_LEVEL_PATH}/deploy", prepare=host_level),
    ),
    "ServiceService/ScaleService": ROLL_OUT,
    "ServiceService/StartService": ROLL_OUT,
    "ServiceService/StopService": ROLL_OUT,
    "ServiceService/RestartService": ROLL_OUT,
    "ServiceService/AddServiceEnv": ROLL_OUT,
    "ServiceService/RemoveServiceEnv": ROLL_OUT,
    "ServiceService/GetServiceDeploy": READ,
    "ServiceService/ListServiceDeploys": READ,
    "ServiceService/CancelServiceDeploy": ROLL_OUT,
    "ServiceService/FollowServiceDeploy": READ,
    "ServiceService/DeployAndFollowService": ROLL_OUT,
    "ServiceService/PlanServiceRebalance": ROLL_OUT,
    "ServiceService/RebalanceService": ROLL_OUT,
    "ServiceService/PlanGridRebalance": ROLL_OUT,
    "ServiceService/RebalanceGrid": ROLL_OUT,
    "ServiceService/ListServiceRevisions": READ,
    "ServiceService/RollbackService": ROLL_OUT,
    "ServiceService/PlanService": ROLL_OUT,
    "StackService/ListStacks": READ,
    "StackService/CreateStack": ROLL_OUT,
    "StackService/GetStack": READ,
    "StackService/UpdateStack": ROLL_OUT,
    "StackService/DeleteStack": CHANGE,
    "StackService/DeployStack": ROLL_OUT,
    "StackService/StopStack": ROLL_OUT,
    "StackService/RestartStack": ROLL_OUT,
    "StackService/GetStackDeploy": READ,
    "StackService/ListStackDeploys": READ,
    "StackService/CancelStackDeploy": ROLL_OUT,
    "StackService/FollowStackDeploy": READ,
    "StackService/DeployAndFollowStack": ROLL_OUT,
    "StackService/ListStackRevisions": READ,
    "StackService/RollbackStack": ROLL_OUT,
    "StackService/PlanStack": ROLL_OUT,
    "StackService/PlanNewStack": ROLL_OUT,
    "StackConversionService/ConvertStack": ROLL_OUT,
    "GridConfigService/ListGridConfigs": READ,
    "GridConfigService/CreateGridConfig": CHANGE,
    "GridConfigService/GetGridConfig": READ,
    "GridConfigService/UpdateGridConfig": CHANGE,
    "GridConfigService/DeleteGridConfig": CHANGE,
    "VolumeService/ListVolumes": READ,
    "VolumeService/CreateVolume": (
        Call(CHANGERS, {}),
        Call(GRID_ADMINS, {"name": HOST_LEVEL, "scope": "grid", "driver": "local", "driver_opts": {"device": "/"}}),
    ),
    "VolumeService/GetVolume": READ,
    "VolumeService/DeleteVolume": CHANGE,
}
VAULT: Rows = {
    "CertificateService/RegisterAcmeAccount": CHANGE,
    "CertificateService/AuthorizeDomain": CHANGE,
    "CertificateService/CreateSecretCertificate": CHANGE,
    "CertificateService/ListCertificates": READ,
    "CertificateService/CreateCertificate": CHANGE,
    "CertificateService/GetCertificate": READ,
    "CertificateService/ExportCertificate": REVEAL,
    "CertificateService/ImportCertificate": CHANGE,
    "CertificateService/DeleteCertificate": CHANGE,
    "DomainAuthorizationService/ListDomainAuthorizations": READ,
    "DomainAuthorizationService/CreateDomainAuthorization": CHANGE,
    "DomainAuthorizationService/GetDomainAuthorization": READ,
    "DomainAuthorizationService/DeleteDomainAuthorization": CHANGE,
    "ExternalRegistryService/ListExternalRegistries": READ,
    "ExternalRegistryService/CreateExternalRegistry": CHANGE,
    "ExternalRegistryService/GetExternalRegistry": READ,
    "ExternalRegistryService/DeleteExternalRegistry": CHANGE,
    "ExternalRegistryService/DeleteGridExternalRegistry": CHANGE,
    "SecretService/ListSecrets": READ,
    "SecretService/CreateSecret": CHANGE,
    "SecretService/GetSecret": REVEAL,
    "SecretService/UpdateSecret": CHANGE,
    "SecretService/PutGridSecret": CHANGE,
    "SecretService/DeleteSecret": CHANGE,
}
ROWS: Rows = {
    f"/kontena.{area}.v1.{name}": calls
    for area, rows in (("auth", AUTH), ("grid", GRIDS), ("deploy", DEPLOY), ("vault", VAULT))
    for name, calls in rows.items()
}
