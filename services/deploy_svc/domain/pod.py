"""The pod: all that a node needs to run one instance, fixed at the moment it is deployed, without secret values.

spec/orchestration.md section 7.
"""

import shlex
from dataclasses import asdict, dataclass
from typing import Any

from services.deploy_svc.domain.service import NULL_STACK, Service
from services.deploy_svc.domain.service_spec import Hook, ServiceSpec
from services.deploy_svc.domain.volume_spec import parse_volume


@dataclass(frozen=True, slots=True)
class Pod:
    """JSON-able: lists, dicts, strings and numbers only. `secrets` and `certificates` are references, in order."""

    image: str
    container_name: str
    hostname: str
    domainname: str
    stateful: bool
    exposed: bool
    user: str
    cmd: list[str]
    entrypoint: list[str]
    env: list[str]
    labels: dict[str, str]
    ports: list[dict[str, Any]]
    volumes: list[dict[str, Any]]
    volumes_from: list[str]
    cpus: float
    cpu_shares: int
    memory: int
    memory_swap: int
    shm_size: int
    privileged: bool
    cap_add: list[str]
    cap_drop: list[str]
    net: str
    pid: str
    read_only: bool
    devices: list[str]
    log_driver: str
    log_opts: dict[str, str]
    stop_signal: str
    stop_grace_period: int
    wait_for_port: int
    health_check: dict[str, Any] | None
    hooks: list[dict[str, Any]]
    secrets: list[dict[str, str]]
    certificates: list[dict[str, str]]

    def to_json(self) -> dict[str, Any]:
        """What is stored in `instances.pod`."""
        return asdict(self)


def build(service: Service, instance_number: int, node: str, *, exposed: bool = False) -> Pod:
    """The pod of an instance on the node called `node`."""
    spec = service.spec
    return Pod(
        image=spec.image,
        container_name=f"{service.full_name}-{instance_number}",
        hostname=f"{service.name}-{instance_number}",
        domainname=service.domainname,
        stateful=spec.stateful,
        exposed=exposed or service.exposed,
        user=spec.user or "",
        cmd=list(spec.cmd),
        entrypoint=_words(spec.entrypoint),
        env=environment(service, instance_number, node),
        labels=labels(service),
        ports=[asdict(port) for port in spec.ports],
        volumes=_volumes(service, instance_number),
        volumes_from=list(spec.volumes_from),
        cpus=spec.cpus or 0.0,
        cpu_shares=spec.cpu_shares or 0,
        memory=spec.memory or 0,
        memory_swap=spec.memory_swap or 0,
        shm_size=spec.shm_size or 0,
        privileged=spec.privileged,
        cap_add=list(spec.cap_add),
        cap_drop=list(spec.cap_drop),
        net=spec.net,
        pid=spec.pid or "",
        read_only=spec.read_only,
        devices=list(spec.devices),
        log_driver=spec.log_driver or "",
        log_opts=dict(spec.log_opts),
        stop_signal=spec.stop_signal or "",
        stop_grace_period=spec.stop_grace_period,
        wait_for_port=spec.deploy_opts.wait_for_port or 0,
        health_check=asdict(spec.health_check) if spec.health_check else None,
        hooks=_hooks(spec.hooks, instance_number),
        secrets=[{"name": item.name, "secret": item.secret} for item in spec.secrets],
        certificates=[{"name": item.name, "subject": item.subject} for item in spec.certificates],
    )


def environment(service: Service, instance_number: int, node: str) -> list[str]:
    """The service's own variables in order, then what the platform tells a container about itself."""
    return [
        *service.spec.env,
        f"KONTENA_SERVICE_ID={service.id}",
        f"KONTENA_SERVICE_NAME={service.name}",
        f"KONTENA_GRID_NAME={service.grid}",
        f"KONTENA_PLATFORM_NAME={service.grid}",
        f"KONTENA_STACK_NAME={service.stack}",
        f"KONTENA_NODE_NAME={node}",
        f"KONTENA_SERVICE_INSTANCE_NUMBER={instance_number}",
    ]


def labels(service: Service) -> dict[str, str]:
    """The labels the master gives; the agent adds its own."""
    own = {
        "io.kontena.service.id": service.id,
        "io.kontena.service.name": service.name,
        "io.kontena.stack.name": service.stack,
        "io.kontena.grid.name": service.grid,
        "io.kontena.platform.name": service.grid,
    }
    return own | _health_labels(service.spec)


def _health_labels(spec: ServiceSpec) -> dict[str, str]:
    check = spec.health_check
    if check is None:
        return {}
    names = ("protocol", "port", "interval", "timeout", "initial_delay")
    found = {f"io.kontena.health_check.{name}": str(getattr(check, name)) for name in names}
    if check.protocol == "http":
        found["io.kontena.health_check.uri"] = check.uri or "/"
    return found


def _words(entrypoint: str | None) -> list[str]:
    """An entrypoint is stored as one string and split like a shell does; an unbalanced quote keeps it whole."""
    if not entrypoint:
        return []
    try:
        return shlex.split(entrypoint)
    except ValueError:
        return [entrypoint]


def _volumes(service: Service, instance_number: int) -> list[dict[str, Any]]:
    mounts = {mount.name: mount for mount in service.mounts}
    found = []
    for volume in filter(None, map(parse_volume, service.spec.volumes)):
        item: dict[str, Any] = {"bind_mount": volume.bind or "", "name": volume.name or "", "path": volume.path}
        item["flags"] = volume.flags
        if (mount := mounts.get(volume.name or "")) is not None:
            item["name"] = mount.instance_name(service.stack, service.full_name, instance_number)
            item |= {"driver": mount.driver, "driver_opts": dict(mount.driver_opts)}
        found.append(item)
    return found


def _hooks(hooks: tuple[Hook, ...], instance_number: int) -> list[dict[str, Any]]:
    return [
        {"id": f"{hook.type}/{hook.name}", "type": hook.type, "cmd": hook.cmd, "oneshot": hook.oneshot}
        for hook in hooks
        if _runs_on(hook.instances, instance_number)
    ]


def _runs_on(instances: str, instance_number: int) -> bool:
    wanted = {part.strip() for part in instances.split(",")}
    return "*" in wanted or str(instance_number) in wanted


def container_name(stack: str, service: str, instance_number: int) -> str:
    """`service-N`, or `stack.service-N`."""
    prefix = service if stack == NULL_STACK else f"{stack}.{service}"
    return f"{prefix}-{instance_number}"
