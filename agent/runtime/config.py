"""Assignment to the engine's create request (spec/orchestration.md section 7.4). Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from agent.domain import labels
from agent.domain.environment import join_env
from agent.domain.errors import ConfigInvalid
from kontena.deploy.v1 import assignment_pb2 as pb

_CPU_PERIOD = 100_000


@dataclass(frozen=True, slots=True)
class NodeIdentity:
    """Who the containers belong to."""

    node_id: str
    node_name: str
    grid: str


def container_config(
    assignment: pb.Assignment, node: NodeIdentity, *, volumes_from: Sequence[str] | None = None
) -> dict[str, Any]:
    """The create request of an instance's container. `volumes_from`: containers already resolved on the node; without
    it the names of the assignment stand. Raises ConfigInvalid when the assignment makes no container."""
    pod = assignment.pod
    secrets = [(secret.name, secret.value) for secret in assignment.secrets if secret.type in ("", "env")]
    body: dict[str, Any] = {
        "Image": pod.image,
        "Env": join_env(pod.env, secrets),
        "Labels": container_labels(assignment, node, labels.TYPE_CONTAINER),
        "HostConfig": _host_config(assignment, pod.volumes_from if volumes_from is None else volumes_from),
        "StopTimeout": pod.stop_grace_period,
    }
    _put(body, User=pod.user, Cmd=list(pod.cmd), Entrypoint=list(pod.entrypoint), StopSignal=pod.stop_signal)
    if _has_own_network_identity(pod):
        _put(body, Hostname=pod.hostname, Domainname=pod.domainname)
    if _on_bridge(pod):
        _put(body, ExposedPorts={_port_key(port): {} for port in pod.ports})
    if not pod.stateful:
        _put(body, Volumes={volume.path: {} for volume in pod.volumes if not _source(volume)})
    return body


def data_container_config(assignment: pb.Assignment, node: NodeIdentity) -> dict[str, Any]:
    """The create request of the never started container that keeps the volumes of a stateful instance."""
    body: dict[str, Any] = {
        "Image": assignment.pod.image,
        "Labels": container_labels(assignment, node, labels.TYPE_VOLUME),
        "Volumes": {volume.path: {} for volume in assignment.pod.volumes if not _source(volume)},
        "Entrypoint": ["/bin/sh"],
    }
    return body


def data_container_name(pod_name: str) -> str:
    """Name of the data container of a stateful instance."""
    return f"{pod_name}-volumes"


def container_labels(assignment: pb.Assignment, node: NodeIdentity, kind: str) -> dict[str, str]:
    """The master's labels and those that tell what the container is."""
    pod = assignment.pod
    own = {
        labels.SERVICE_ID: assignment.service_id,
        labels.INSTANCE_NUMBER: str(assignment.instance_number),
        labels.INSTANCE_ID: assignment.instance_id,
        labels.NODE_ID: node.node_id,
        labels.CONTAINER_TYPE: kind,
        labels.CONTAINER_NAME: pod.container_name
        if kind != labels.TYPE_VOLUME
        else data_container_name(pod.container_name),
        labels.POD: pod.container_name,
        labels.DEPLOY_REV: assignment.deploy_rev,
        labels.SERVICE_REVISION: str(assignment.service_revision),
        labels.STOP_GRACE_PERIOD: str(pod.stop_grace_period),
    }
    if pod.exposed:
        own[labels.EXPOSED] = "1"
    return {**pod.labels, **own}


def volumes_from_candidates(entry: str, assignment: pb.Assignment) -> list[str]:
    """Names that an entry of volumes_from may stand for on the node, best first."""
    name = entry.replace("%s", str(assignment.instance_number))
    stack = assignment.pod.labels.get(labels.STACK_NAME, "")
    return [name, f"{stack}-{name}", f"{stack}.{name}"] if stack else [name]


def _host_config(assignment: pb.Assignment, volumes_from: Sequence[str]) -> dict[str, Any]:
    pod = assignment.pod
    sources = list(volumes_from)
    if pod.stateful:
        sources.append(data_container_name(pod.container_name))
    host: dict[str, Any] = {
        "NetworkMode": network_mode(pod),
        "RestartPolicy": {"Name": "no"},
        "Privileged": pod.privileged,
        "ReadonlyRootfs": pod.read_only,
    }
    _put(
        host,
        Binds=[_bind(volume) for volume in pod.volumes if _source(volume)],
        VolumesFrom=sources,
        CapAdd=list(pod.cap_add),
        CapDrop=list(pod.cap_drop),
        PidMode=pod.pid,
        Devices=[_device(device) for device in pod.devices],
        CpuShares=pod.cpu_shares,
        Memory=int(pod.memory),
        MemorySwap=int(pod.memory_swap),
        ShmSize=int(pod.shm_size),
    )
    if pod.cpus > 0:
        host |= {"CpuPeriod": _CPU_PERIOD, "CpuQuota": int(_CPU_PERIOD * pod.cpus)}
    if pod.log_driver:
        host["LogConfig"] = {"Type": pod.log_driver, "Config": dict(pod.log_opts)}
    if not pod.net.startswith("container:"):
        _put(host, DnsSearch=_dns_search(pod.domainname))
    if _on_bridge(pod):
        _put(host, PortBindings=_bindings(pod))
    return host


def network_mode(pod: pb.Pod) -> str:
    """The network a container joins. The one place to change when grids get networks of their own."""
    return pod.net or "bridge"


def _bindings(pod: pb.Pod) -> dict[str, list[dict[str, str]]]:
    bindings: dict[str, list[dict[str, str]]] = {}
    for port in pod.ports:
        node_port = str(port.node_port) if port.node_port else ""
        bindings.setdefault(_port_key(port), []).append({"HostIp": port.ip or "0.0.0.0", "HostPort": node_port})  # noqa: S104
    return bindings


def _port_key(port: Any) -> str:
    return f"{port.container_port}/{port.protocol or 'tcp'}"


def _on_bridge(pod: pb.Pod) -> bool:
    return pod.net in ("", "bridge")


def _has_own_network_identity(pod: pb.Pod) -> bool:
    return pod.net != "host" and not pod.net.startswith("container:")


def _source(volume: pb.PodVolume) -> str:
    return volume.bind_mount or volume.name


def _bind(volume: pb.PodVolume) -> str:
    parts = [_source(volume), volume.path]
    return ":".join([*parts, volume.flags] if volume.flags else parts)


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
