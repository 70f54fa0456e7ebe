"""What can be listed, shown and removed, said once: its calls, its columns, what its names are."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from kontena_ctl.output import Column
from kontena_ctl.session import NO_STACK
from kontena_ctl.words import age, size

Doc = Mapping[str, Any]


@dataclass(frozen=True)
class Resource:
    """`plural` is also the member of list answers. `list`, `get` and `delete` are methods of the client. Their first
    argument is the grid unless it is `global_`; then the name follows, in as many parts as it has."""

    name: str
    plural: str
    columns: tuple[Column, ...]
    list: str
    get: str = ""
    delete: str = ""
    global_: bool = False
    # What names one in a list; parts are separated by slashes.
    key: Callable[[Doc], str] = lambda one: str(one["name"])
    by_time: bool = False
    # What is said before one is removed.
    warning: str = ""


def _name(one: Doc) -> object:
    return one["name"]


def service_key(service: Doc) -> str:
    """`stack/service`, or just the service outside stacks."""
    stack = service["stack"]["name"]
    return str(service["name"]) if stack == NO_STACK else f"{stack}/{service['name']}"


def wanted(service: Doc) -> str:
    """How many instances run, and how many shall."""
    running = service["instance_counts"]["running"]
    per_node = "/node" if service["strategy"] == "daemon" else ""
    return f"{running}/{service['instances']}{per_node}"


def ports(service: Doc) -> str:
    """Ports on the nodes."""
    shown = []
    for port in service["ports"]:
        kind = "" if port.get("protocol", "tcp") == "tcp" else f"/{port['protocol']}"
        shown.append(f"{port.get('node_port')}->{port.get('container_port')}{kind}")
    return ",".join(shown)


def health(service: Doc) -> str:
    """Healthy containers of all, where there is a check."""
    status = service.get("health_status")
    return f"{status['healthy']}/{status['total']}" if status else ""


def _used(node: Doc) -> str:
    memory = node.get("resource_usage", {}).get("memory")
    return f"{size(memory['used'])}/{size(memory['total'])}" if memory else ""


SERVICE = Resource(
    "service",
    "services",
    (
        Column("SERVICE", service_key),
        Column("STATE", lambda one: one["state"]),
        Column("INSTANCES", wanted),
        Column("HEALTHY", health),
        Column("IMAGE", lambda one: one["image"]),
        Column("PORTS", ports),
        Column("REVISION", lambda one: one["revision"], wide=True),
        Column("STRATEGY", lambda one: one["strategy"], wide=True),
        Column("DNS", lambda one: one["dns"], wide=True),
        Column("CHANGED", lambda one: age(one["updated_at"])),
    ),
    list="list_services",
    get="get_service",
    delete="delete_service",
    key=service_key,
    warning="its containers go away",
)
STACK = Resource(
    "stack",
    "stacks",
    (
        Column("STACK", _name),
        Column("STATE", lambda one: one["state"]),
        Column("SERVICES", lambda one: len(one["services"])),
        Column("REVISION", lambda one: one["revision"]),
        Column("SCHEMA", lambda one: one.get("stack"), wide=True),
        Column("VERSION", lambda one: one.get("version")),
        Column("CHANGED", lambda one: age(one["updated_at"])),
    ),
    list="list_stacks",
    get="get_stack",
    delete="delete_stack",
    warning="its services and their containers go away",
)
NODE = Resource(
    "node",
    "nodes",
    (
        Column("NODE", _name),
        Column("STATUS", lambda one: one["status"]),
        Column("AVAILABILITY", lambda one: one["availability"]),
        Column("LABELS", lambda one: one["labels"]),
        Column("ADDRESS", lambda one: one.get("public_ip") or one.get("private_ip")),
        Column("CPUS", lambda one: one["cpus"]),
        Column("MEMORY", _used),
        Column("AGENT", lambda one: one.get("agent_version"), wide=True),
        Column("ENGINE", lambda one: one.get("docker_version"), wide=True),
        Column("OS", lambda one: one.get("os"), wide=True),
        Column("SEEN", lambda one: age(one.get("last_seen_at"))),
    ),
    list="list_nodes",
    get="get_node",
    delete="delete_node",
    warning="its agent has to join again; the machine itself is not touched",
)
GRID = Resource(
    "grid",
    "grids",
    (
        Column("GRID", _name),
        Column("NODES", lambda one: one["node_count"]),
        Column("SERVICES", lambda one: one.get("service_count")),
        Column("CONTAINERS", lambda one: one.get("container_count")),
        Column("USERS", lambda one: one.get("user_count")),
        Column("SUBNET", lambda one: one["subnet"]),
        Column("NETWORK", lambda one: one["network"]["mode"], wide=True),
        Column("HOST ACCESS", lambda one: one["host_access"], wide=True),
    ),
    list="list_grids",
    get="get_grid",
    delete="delete_grid",
    global_=True,
)
SECRET = Resource(
    "secret",
    "secrets",
    (
        Column("SECRET", _name),
        Column("USED BY", lambda one: [used["id"].partition("/")[2] for used in one.get("services", ())]),
        Column("CHANGED", lambda one: age(one.get("updated_at"))),
    ),
    list="list_secrets",
    delete="delete_secret",
)
CONFIG = Resource(
    "config",
    "configs",
    (
        Column("CONFIG", _name),
        Column("BYTES", lambda one: one["size"]),
        Column("USED BY", lambda one: [used["id"].partition("/")[2] for used in one["services"]]),
        Column("CHANGED", lambda one: age(one.get("updated_at"))),
    ),
    list="list_grid_configs",
    delete="delete_grid_config",
)
VOLUME = Resource(
    "volume",
    "volumes",
    (
        Column("VOLUME", _name),
        Column("SCOPE", lambda one: one["scope"]),
        Column("DRIVER", lambda one: one["driver"]),
        Column("ON", lambda one: sorted({on["node"] for on in one["instances"]})),
        Column("USED BY", lambda one: [used["id"].partition("/")[2] for used in one["services"]]),
    ),
    list="list_volumes",
    get="get_volume",
    delete="delete_volume",
    warning="its data go away on all nodes",
)
REGISTRY = Resource(
    "registry",
    "external_registries",
    (
        Column("REGISTRY", _name),
        Column("URL", lambda one: one["url"]),
        Column("USER", lambda one: one["username"]),
    ),
    list="list_external_registries",
    get="get_external_registry",
    delete="delete_external_registry",
)
CERTIFICATE = Resource(
    "certificate",
    "certificates",
    (
        Column("CERTIFICATE", lambda one: one["subject"]),
        Column("VALID UNTIL", lambda one: str(one["valid_until"])[:10]),
        Column("RENEWS ITSELF", lambda one: one["auto_renewable"]),
        Column("OTHER NAMES", lambda one: one["alt_names"]),
        Column("PROBLEM", lambda one: one.get("renewal_error")),
    ),
    list="list_certificates",
    get="get_certificate",
    delete="delete_certificate",
    key=lambda one: str(one["subject"]),
)
DOMAIN = Resource(
    "domain",
    "domain_authorizations",
    (
        Column("DOMAIN", lambda one: one["domain"]),
        Column("STATUS", lambda one: one["status"]),
        Column("TYPE", lambda one: one["authorization_type"]),
        Column("SERVICE", lambda one: one.get("linked_service", {}).get("id")),
        Column("PROBLEM", lambda one: one.get("problem")),
    ),
    list="list_domain_authorizations",
    get="get_domain_authorization",
    delete="delete_domain_authorization",
    key=lambda one: str(one["domain"]),
)
USER = Resource(
    "user",
    "users",
    (
        Column("USER", lambda one: one["email"]),
        Column("NAME", lambda one: one.get("name")),
        Column("ROLES", lambda one: [role["name"] for role in one["roles"]]),
    ),
    list="list_users",
    delete="delete_user",
    global_=True,
    key=lambda one: str(one["email"]),
    warning="with all of its tokens",
)
TOKEN = Resource(
    "token",
    "tokens",
    (
        Column("TOKEN", lambda one: one["id"]),
        Column("ENDS WITH", lambda one: one.get("access_token_last_four")),
        Column("SCOPES", lambda one: one["scopes"]),
        Column("EXPIRES IN", lambda one: f"{one['expires_in']}s" if "expires_in" in one else "never"),
        Column("DESCRIPTION", lambda one: one.get("description")),
    ),
    list="list_access_tokens",
    get="get_access_token",
    delete="delete_access_token",
    global_=True,
    key=lambda one: str(one["id"]),
    warning="whoever uses it is locked out at once",
)
AUDIT = Resource(
    "entry",
    "logs",
    (
        Column("TIME", lambda one: one["time"]),
        Column("WHO", lambda one: one.get("user_identity", {}).get("email")),
        Column("DID", lambda one: one["event_name"]),
        Column("WHAT", lambda one: one["resource_type"]),
        Column("NAME", lambda one: one.get("resource_name")),
        Column("FROM", lambda one: one["source_ip"]),
        Column("WITH", lambda one: one.get("user_agent"), wide=True),
    ),
    list="list_grid_audit_logs",
    by_time=True,
    key=lambda one: str(one["id"]),
)
ALL = (SERVICE, STACK, NODE, GRID, SECRET, CONFIG, VOLUME, REGISTRY, CERTIFICATE, DOMAIN, USER, TOKEN, AUDIT)
