"""Assignment to the engine's create request (docs/spec/orchestration.md section 7.4). Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agent.domain import dns, labels
from agent.domain.container_report import secret_names_label
from agent.domain.data import DataMount, label
from agent.domain.drift import Wanted
from agent.domain.environment import join_env
from agent.domain.errors import ConfigInvalid
from agent.domain.files import file_name
from agent.domain.health import HealthCheck
from agent.domain.hooks import Hook
from agent.runtime.ports import NamedVolume
from kontena.deploy.v1 import assignment_pb2 as pb

_CPU_PERIOD = 100_000
_DEFAULT_VOLUME_DRIVER = "local"
_SHARED = "container:"
_HOST = "host"


@dataclass(frozen=True, slots=True)
class NodeIdentity:
    """Who the containers belong to."""

    node_id: str
    node_name: str
    grid: str


@dataclass(frozen=True, slots=True)
class GridNetwork:
    """The network that containers of the grid join on this node. `resolver` knows their names, on all nodes; without
    one the engine knows those of this node."""

    name: str
    resolver: str = ""


@dataclass(frozen=True, slots=True)
class FilesFolder:
    """The folder on the node with the files of a container, and its name in the container's labels."""

    path: str
    token: str


def container_config(
    assignment: pb.Assignment,
    node: NodeIdentity,
    *,
    volumes_from: Sequence[str] | None = None,
    lender: str = "",
    data: Sequence[DataMount] = (),
    network: GridNetwork | None = None,
    files: FilesFolder | None = None,
) -> dict[str, Any]:
    """The create request of an instance's container. `volumes_from` and `lender`, whose network it shares: containers
    already resolved on the node; without them the names of the assignment stand. `data` are the volumes of a stateful
    instance, `files` is where the files of the assignment are. Raises ConfigInvalid when it makes no container."""
    network = network or GridNetwork(grid_network(node.grid))
    pod = assignment.pod
    secrets = [(secret.name, secret.value) for secret in assignment.secrets if secret.type in ("", "env")]
    body: dict[str, Any] = {
        "Image": pod.image,
        "Env": join_env(pod.env, secrets),
        "Labels": container_labels(assignment, node, labels.TYPE_CONTAINER),
        "HostConfig": _host_config(
            assignment, network, pod.volumes_from if volumes_from is None else volumes_from, lender
        ),
        "StopTimeout": pod.stop_grace_period,
    }
    if files is not None:
        body["Labels"][labels.FILES] = files.token
        # Unlike a bind, a mount of something that is not there is an error.
        body["HostConfig"]["Mounts"] = [_mount(files, file) for file in assignment.files]
    if data:
        body["Labels"][labels.DATA_VOLUMES] = label(data)
        body["HostConfig"].setdefault("Binds", []).extend(mount.bind for mount in data)
    _put(body, User=pod.user, Cmd=list(pod.cmd), Entrypoint=list(pod.entrypoint), StopSignal=pod.stop_signal)
    _put(body, WorkingDir=pod.working_dir)
    if _has_own_network_identity(pod):
        _put(body, Hostname=pod.hostname, Domainname=pod.domainname)
    if on_grid_network(pod):
        _put(body, ExposedPorts={_port_key(port): {} for port in pod.ports})
        # The engine would answer an alias before it asks the resolver, and hide the instances on other nodes.
        endpoint = {} if network.resolver else {"Aliases": dns_names(assignment, node)}
        body["NetworkingConfig"] = {"EndpointsConfig": {network.name: endpoint}}
        if network.resolver:
            body["Labels"][labels.NETWORK] = network.name
    if not pod.stateful:
        _put(body, Volumes={volume.path: {} for volume in pod.volumes if not _source(volume)})
    return body


def hook_container_config(body: dict[str, Any], hook: Hook) -> dict[str, Any]:
    """The create request of a temporary container that runs a hook with everything the instance's container has, but
    its ports and its DNS names: nobody may take it for the instance."""
    host = {name: value for name, value in body["HostConfig"].items() if name != "PortBindings"}
    left_out = ("ExposedPorts", "NetworkingConfig")
    left = {name: value for name, value in body.items() if name not in left_out}
    tags = {**body["Labels"], labels.CONTAINER_TYPE: labels.TYPE_HOOK, labels.HOOK: hook.path}
    return left | {"HostConfig": host, "Labels": tags, "Entrypoint": ["/bin/sh"], "Cmd": ["-c", hook.cmd]}


def data_volume(assignment: pb.Assignment, node: NodeIdentity, mount: DataMount) -> NamedVolume:
    """The volume of a stateful instance that has none for the path yet."""
    named = {
        labels.SERVICE_ID: assignment.service_id,
        labels.SERVICE_NAME: assignment.pod.labels.get(labels.SERVICE_NAME, ""),
        labels.STACK_NAME: assignment.pod.labels.get(labels.STACK_NAME, ""),
        labels.INSTANCE_NUMBER: str(assignment.instance_number),
        labels.CONTAINER_TYPE: labels.TYPE_DATA,
        labels.POD: assignment.pod.container_name,
        labels.VOLUME_PATH: mount.path,
        labels.GRID_NAME: node.grid,
        labels.NODE_ID: node.node_id,
    }
    return NamedVolume(mount.name, _DEFAULT_VOLUME_DRIVER, {}, {name: value for name, value in named.items() if value})


def container_labels(assignment: pb.Assignment, node: NodeIdentity, kind: str) -> dict[str, str]:
    """The master's labels and those that tell what the container is."""
    pod = assignment.pod
    own = {
        labels.SERVICE_ID: assignment.service_id,
        labels.INSTANCE_NUMBER: str(assignment.instance_number),
        labels.INSTANCE_ID: assignment.instance_id,
        labels.NODE_ID: node.node_id,
        labels.CONTAINER_TYPE: kind,
        labels.CONTAINER_NAME: pod.container_name,
        labels.POD: pod.container_name,
        labels.DEPLOY_REV: assignment.deploy_rev,
        labels.SERVICE_REVISION: str(assignment.service_revision),
        labels.STOP_GRACE_PERIOD: str(pod.stop_grace_period),
    }
    if pod.exposed:
        own[labels.EXPOSED] = "1"
    if assignment.secrets:
        own[labels.SECRET_NAMES] = secret_names_label([secret.name for secret in assignment.secrets])
    return {**pod.labels, **_health_labels(pod), **own}


def _health_labels(pod: pb.Pod) -> dict[str, str]:
    check = pod.health_check
    if not pod.HasField("health_check") or not check.protocol:
        return {}
    given = {
        name: getattr(check, name) for name in ("interval", "timeout", "initial_delay", "uri") if check.HasField(name)
    }
    return HealthCheck(check.protocol, check.port, cmd=tuple(check.cmd), **given).labels()


def lender_of(pod: pb.Pod) -> str:
    """The container whose network the pod shares, as the service names it; empty when it shares none."""
    return pod.net.removeprefix(_SHARED) if pod.net.startswith(_SHARED) else ""


def container_candidates(name: str, assignment: pb.Assignment) -> list[str]:
    """Containers that a name in volumes_from or `net` may stand for on the node, best first."""
    name = name.replace("%s", str(assignment.instance_number))
    stack = assignment.pod.labels.get(labels.STACK_NAME, "")
    return [name, f"{stack}-{name}", f"{stack}.{name}"] if stack else [name]


def named_volumes(assignment: pb.Assignment, node: NodeIdentity) -> list[NamedVolume]:
    """Volumes that must exist before the container is made."""
    return [
        NamedVolume(
            volume.name,
            volume.driver or _DEFAULT_VOLUME_DRIVER,
            dict(volume.driver_opts),
            {labels.VOLUME_NAME: volume.name, labels.GRID_NAME: node.grid, labels.NODE_ID: node.node_id},
        )
        for volume in assignment.pod.volumes
        if volume.name and not volume.bind_mount
    ]


def wanted(assignment: pb.Assignment, node: NodeIdentity, tags: Mapping[str, str]) -> Wanted:
    """What the engine must keep of the container with the labels `tags` while it exists."""
    pod = assignment.pod
    if not on_grid_network(pod):
        return Wanted(pod.container_name)
    if overlay := tags.get(labels.NETWORK, ""):
        return Wanted(pod.container_name, overlay)
    return Wanted(pod.container_name, grid_network(node.grid), frozenset(dns_names(assignment, node)))


def dns_names(assignment: pb.Assignment, node: NodeIdentity) -> list[str]:
    """Names under which the containers of the grid on this node find this one."""
    pod = assignment.pod
    return dns.names(
        hostname=pod.hostname,
        service=pod.labels.get(labels.SERVICE_NAME, "") or pod.hostname.rpartition("-")[0],
        domain=pod.domainname,
        grid=node.grid,
        stack=pod.labels.get(labels.STACK_NAME, ""),
        exposed=pod.exposed,
    )


def _host_config(
    assignment: pb.Assignment, network: GridNetwork, volumes_from: Sequence[str], lender: str
) -> dict[str, Any]:
    pod = assignment.pod
    host: dict[str, Any] = {
        "NetworkMode": f"{_SHARED}{lender}" if lender else network_mode(pod, network.name),
        "RestartPolicy": {"Name": "no"},
        "Privileged": pod.privileged,
        "ReadonlyRootfs": pod.read_only,
    }
    _put(
        host,
        Binds=[_bind(volume) for volume in pod.volumes if _source(volume)],
        VolumesFrom=list(volumes_from),
        CapAdd=list(pod.cap_add),
        CapDrop=list(pod.cap_drop),
        PidMode=pod.pid,
        Devices=[_device(device) for device in pod.devices],
        CpuShares=pod.cpu_shares,
        Memory=int(pod.memory),
        MemorySwap=int(pod.memory_swap),
        ShmSize=int(pod.shm_size),
        Ulimits=[{"Name": item.name, "Soft": int(item.soft), "Hard": int(item.hard)} for item in pod.ulimits],
        Tmpfs={path: options for path, _, options in (item.partition(":") for item in pod.tmpfs)},
        Sysctls=dict(pod.sysctls),
        Init=pod.init,
        ExtraHosts=list(pod.extra_hosts),
        Dns=list(pod.dns_servers),
        GroupAdd=list(pod.group_add),
    )
    if pod.cpus > 0:
        host |= {"CpuPeriod": _CPU_PERIOD, "CpuQuota": int(_CPU_PERIOD * pod.cpus)}
    if pod.log_driver or pod.log_opts:
        host["LogConfig"] = {"Type": pod.log_driver, "Config": dict(pod.log_opts)}
    if not pod.net.startswith(_SHARED):
        _put(host, DnsSearch=_dns_search(pod.domainname))
        if on_grid_network(pod) or pod.net == _HOST:
            _put(host, Dns=[network.resolver] if network.resolver else [])
    if on_grid_network(pod):
        _put(host, PortBindings=_bindings(pod))
    return host


def grid_network(grid: str) -> str:
    """Name of the network that the containers of a grid share on this node, unless the node had another one before
    (docs/adr/0066)."""
    return f"kontena-{grid}"


def on_grid_network(pod: pb.Pod) -> bool:
    """Whether the container joins the network of its grid; `bridge` means that."""
    return pod.net in ("", "bridge")


def network_mode(pod: pb.Pod, network: str) -> str:
    """The network a container joins: that of its grid unless it asks for another one."""
    return network if on_grid_network(pod) else pod.net


def _bindings(pod: pb.Pod) -> dict[str, list[dict[str, str]]]:
    bindings: dict[str, list[dict[str, str]]] = {}
    for port in pod.ports:
        node_port = str(port.node_port) if port.node_port else ""
        bindings.setdefault(_port_key(port), []).append({"HostIp": port.ip or "0.0.0.0", "HostPort": node_port})  # noqa: S104
    return bindings


def _port_key(port: Any) -> str:
    return f"{port.container_port}/{port.protocol or 'tcp'}"


def _has_own_network_identity(pod: pb.Pod) -> bool:
    return pod.net != _HOST and not pod.net.startswith(_SHARED)


def _source(volume: pb.PodVolume) -> str:
    return volume.bind_mount or volume.name


def _bind(volume: pb.PodVolume) -> str:
    parts = [_source(volume), volume.path]
    return ":".join([*parts, volume.flags] if volume.flags else parts)


def _mount(files: FilesFolder, file: pb.PodFile) -> dict[str, Any]:
    source = f"{files.path}/{file_name(file.path)}"
    return {"Type": "bind", "Source": source, "Target": file.path, "ReadOnly": True}


def _device(text: str) -> dict[str, str]:
    host, _, rest = text.partition(":")
    container, _, permissions = rest.partition(":")
    if not host:
        raise ConfigInvalid(f"device {text!r} names no path on the node")
    return {"PathOnHost": host, "PathInContainer": container or host, "CgroupPermissions": permissions or "rwm"}


def _dns_search(domainname: str) -> list[str]:
    if not domainname:
        return []
    parent = domainname.partition(".")[2]
    return [domainname, parent] if parent else [domainname]


def _put(target: dict[str, Any], **values: Any) -> None:
    """Set the members that say something; the engine's default stands for the others."""
    target.update({name: value for name, value in values.items() if value})
