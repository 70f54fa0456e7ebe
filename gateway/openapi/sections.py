"""The sections of the API page: in the order and words of the API reference, then what came after it."""

from collections.abc import Mapping

SECTIONS: Mapping[str, str] = {
    "Grids": "A grid is a group of nodes in a single cluster.",
    "Nodes": "A node is a virtual or physical machine running an agent, where services can be deployed.",
    "Stacks": "A stack is a logical grouping of closely related services.",
    "Services": "A service is a template used to deploy one or more service instances (containers).",
    "Secrets": "The vault of a grid.",
    "External Registries": "Credentials for pulling images.",
    "Certificates": "Certificates from an ACME authority such as Let's Encrypt, and domains they are for.",
    "Configuration": "The configuration of the master, for master_admins.",
    "OAuth2": "Log-ins, codes and tokens (RFC 6749).",
    "Access Tokens": "Tokens of the caller: list, show, revoke.",
    "Containers": "Containers of a grid, and commands in them.",
    "Volumes": "Volumes that services name.",
    "Configs": "Texts that containers get as files.",
    "Users": "Accounts, their roles, and members of grids.",
    "Audit Log": "Who changed what.",
    "Gateway": "Answered at the edge, without a service.",
}
# By the noun of a path; below a grid or a service, that of its part wins, where it is one of `_PARTS`.
_NOUNS: Mapping[str, str] = {
    "grids": "Grids",
    "nodes": "Nodes",
    "stacks": "Stacks",
    "services": "Services",
    "secrets": "Secrets",
    "external_registries": "External Registries",
    "certificates": "Certificates",
    "domain_authorizations": "Certificates",
    "config": "Configuration",
    "oauth2": "OAuth2",
    "auth": "OAuth2",
    "authenticate": "OAuth2",
    "cb": "OAuth2",
    "code": "OAuth2",
    "tokens": "Access Tokens",
    "containers": "Containers",
    "volumes": "Volumes",
    "configs": "Configs",
    "user": "Users",
    "users": "Users",
    "audit_logs": "Audit Log",
    "audit_log": "Audit Log",
}
_PARTS = {
    "grids": (
        "nodes", "stacks", "services", "secrets", "external_registries", "certificates", "domain_authorizations",
        "configs", "users", "audit_log",
    ),
    "services": ("secrets",),
    "oauth2": ("tokens",),
}  # fmt: skip


def section(path: str) -> str:
    """The section of a call. Raises ValueError for a noun that has none."""
    nouns = [part for part in path.removeprefix("/v1").split("/") if part and not part.startswith("{")]
    if not nouns or nouns[0] not in _NOUNS:
        raise ValueError(f"{path} belongs to no section of the API page: add its noun to gateway/openapi/sections.py")
    below = next((noun for noun in nouns[1:2] if noun in _PARTS.get(nouns[0], ())), nouns[0])
    return _NOUNS[below]
