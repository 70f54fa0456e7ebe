"""Every list of the public API, written down once: how to get it in parts, or why it has none.

tests/unit/protos/test_lists.py compares it with the protos, tests/e2e/test_paging.py walks each list of the
running suite.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class List:
    """A list with `limit` and `from`. `members` is the member of the answer that holds the items, `key` what tells them
    apart."""

    path: str
    members: str
    key: str = "id"


# By RPC. Paths have {grid}, {service}, {stack} and {email}.
PAGED = {
    "AccessTokenService/ListAccessTokens": List("/oauth2/tokens", "tokens"),
    "UserService/ListUsers": List("/v1/users", "users", "email"),
    "GridUserService/ListGridUsers": List("/v1/grids/{grid}/users", "users", "email"),
    "GridService/ListGrids": List("/v1/grids", "grids"),
    "NodeService/ListNodes": List("/v1/grids/{grid}/nodes", "nodes"),
    "ServiceService/ListServices": List("/v1/grids/{grid}/services", "services"),
    "StackService/ListStacks": List("/v1/grids/{grid}/stacks", "stacks"),
    "ServiceService/ListServiceDeploys": List("/v1/services/{service}/deploys", "deploys"),
    "StackService/ListStackDeploys": List("/v1/stacks/{stack}/deploys", "deploys"),
    "ServiceService/ListServiceRevisions": List("/v1/services/{service}/revisions", "revisions", "revision"),
    "StackService/ListStackRevisions": List("/v1/stacks/{stack}/revisions", "revisions", "revision"),
    "GridConfigService/ListGridConfigs": List("/v1/grids/{grid}/configs", "configs"),
    "VolumeService/ListVolumes": List("/v1/volumes/{grid}", "volumes"),
    "ContainerService/ListContainers": List("/v1/containers/{grid}?all=1", "containers"),
    "ContainerService/ListServiceContainers": List("/v1/services/{service}/containers", "containers"),
    "InstanceService/ListInstances": List("/v1/services/{service}/instances", "instances"),
    "SecretService/ListSecrets": List("/v1/grids/{grid}/secrets", "secrets"),
    "ExternalRegistryService/ListExternalRegistries": List(
        "/v1/grids/{grid}/external_registries", "external_registries"
    ),
    "CertificateService/ListCertificates": List("/v1/grids/{grid}/certificates", "certificates"),
    "DomainAuthorizationService/ListDomainAuthorizations": List(
        "/v1/grids/{grid}/domain_authorizations", "domain_authorizations"
    ),
}
_BY_ID = "`limit` and `from`, which is the id of a line"
_NEWEST = "the newest `limit` entries, those before with `before`"
_TOP = "the first `limit` containers by what they use now"
OTHERWISE = {
    "ContainerLogService/ListServiceLogs": _BY_ID,
    "ContainerLogService/ListGridLogs": _BY_ID,
    "ContainerLogService/ListStackLogs": _BY_ID,
    "ContainerLogService/ListContainerLogs": _BY_ID,
    "EventLogService/ListGridEventLogs": _BY_ID,
    "EventLogService/ListStackEventLogs": _BY_ID,
    "EventLogService/ListServiceEventLogs": _BY_ID,
    "AuditLogService/ListAuditLogs": _NEWEST,
    "AuditLogService/ListGridAuditLogs": _NEWEST,
    "ContainerStatsService/ListServiceStats": _TOP,
    "ContainerStatsService/ListGridStats": _TOP,
    "ContainerStatsService/ListNodeStats": _TOP,
}
