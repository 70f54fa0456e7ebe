"""The pod: all that a node needs to run one instance, fixed at the moment it is deployed, without secret values.

docs/spec/orchestration.md section 7.
"""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Annotated, Any

from services.deploy_svc.domain.service import NULL_STACK, Service
from services.deploy_svc.domain.service_spec import UNSET, ContainerSpec, Hook, HookType
from services.deploy_svc.domain.volume_spec import parse_volume

_OUTLINE_BYTES = 16 * 1024


@dataclass(frozen=True, slots=True)
class PodVolume:
    """A mount; `driver` and its options are those of a volume of the grid."""

    path: str
    bind_mount: str = ""
    name: str = ""
    flags: str = ""
    driver: str = ""
    driver_opts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PodHook:
    """A hook that runs on this instance. `id` is its identity."""

    id: str
    type: HookType
    cmd: str
    oneshot: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Pod(ContainerSpec):
    """The attributes of the service and what the instance adds. `secrets` and `certificates` are references, in order;
    `env` and `labels` have what the platform tells as well."""

    container_name: str
    hostname: str
    domainname: str
    exposed: bool
    entrypoint: tuple[str, ...]
    volumes: tuple[PodVolume, ...]
    wait_for_port: int
    hooks: tuple[PodHook, ...]
    start_first: Annotated[bool, UNSET] = False


def build(service: Service, instance_number: int, node: str) -> Pod:
    """The pod of an instance on the node called `node`."""
    spec = service.spec
    given = {item.name: getattr(spec, item.name) for item in fields(ContainerSpec)}
    added = {
        "container_name": container_name(service.stack, service.name, instance_number),
        "hostname": f"{service.name}-{instance_number}",
        "domainname": service.domainname,
        "exposed": service.exposed,
        "entrypoint": _words(spec.entrypoint),
        "env": environment(service, instance_number, node),
        "labels": {**spec.labels, **labels(service)},
        "volumes": _volumes(service, instance_number),
        "wait_for_port": spec.deploy_opts.wait_for_port or 0,
        "hooks": _hooks(spec.hooks, instance_number),
        "start_first": spec.deploy_opts.order == "start_first",
    }
    return Pod(**given | added)


def weight(value: object) -> int:
    """How many bytes a value of a pod takes in a message, about: its texts, and a few for each thing."""
    if isinstance(value, str):
        return len(value) + 2
    if isinstance(value, Mapping):
        return sum(weight(key) + weight(item) for key, item in value.items()) + 2
    if isinstance(value, tuple | frozenset):
        return sum(map(weight, value)) + 2
    if is_dataclass(value):
        return sum(weight(getattr(value, item.name)) for item in fields(value)) + 2
    return 4


def outline(pod: Pod) -> Pod:
    """A pod that says which container is meant; without lists and tables that are long, if there is a lot of them."""
    if weight(pod) <= _OUTLINE_BYTES:
        return pod
    values = {item.name: getattr(pod, item.name) for item in fields(pod)}
    long = {name: value for name, value in values.items() if weight(value) > _OUTLINE_BYTES // 16}
    emptied: dict[str, Any] = {name: type(value)() for name, value in long.items() if isinstance(value, tuple | dict)}
    return replace(pod, **emptied)


def environment(service: Service, instance_number: int, node: str) -> tuple[str, ...]:
    """The service's own variables in order, then what the platform tells a container about itself."""
    return (
        *service.spec.env,
        f"KONTENA_SERVICE_ID={service.id}",
        f"KONTENA_SERVICE_NAME={service.name}",
        f"KONTENA_GRID_NAME={service.grid}",
        f"KONTENA_PLATFORM_NAME={service.grid}",
        f"KONTENA_STACK_NAME={service.stack}",
        f"KONTENA_NODE_NAME={node}",
        f"KONTENA_SERVICE_INSTANCE_NUMBER={instance_number}",
    )


def labels(service: Service) -> dict[str, str]:
    """The labels the master gives; the agent adds its own."""
    return {
        "io.kontena.service.id": service.id,
        "io.kontena.service.name": service.name,
        "io.kontena.stack.name": service.stack,
        "io.kontena.grid.name": service.grid,
        "io.kontena.platform.name": service.grid,
    }


def _words(entrypoint: str | None) -> tuple[str, ...]:
    """An entrypoint is stored as one string and split like a shell does; an unbalanced quote keeps it whole."""
    try:
        return tuple(shlex.split(entrypoint or ""))
    except ValueError:
        return (entrypoint or "",)


def _volumes(service: Service, instance_number: int) -> tuple[PodVolume, ...]:
    mounts = {mount.name: mount for mount in service.mounts}
    found = []
    for volume in filter(None, map(parse_volume, service.spec.volumes)):
        name, driver, options = volume.name or "", "", {}
        if (mount := mounts.get(name)) is not None:
            name = mount.instance_name(service.stack, service.full_name, instance_number)
            driver, options = mount.driver, dict(mount.driver_opts)
        found.append(PodVolume(volume.path, volume.bind or "", name, volume.flags, driver, options))
    return tuple(found)


def _hooks(hooks: tuple[Hook, ...], instance_number: int) -> tuple[PodHook, ...]:
    return tuple(
        PodHook(f"{hook.type}/{hook.name}", hook.type, hook.cmd, hook.oneshot)
        for hook in hooks
        if _runs_on(hook.instances, instance_number)
    )


def _runs_on(instances: str, instance_number: int) -> bool:
    wanted = {part.strip() for part in instances.split(",")}
    return "*" in wanted or str(instance_number) in wanted


def container_name(stack: str, service: str, instance_number: int) -> str:
    """`service-N`, or `stack.service-N`."""
    prefix = service if stack == NULL_STACK else f"{stack}.{service}"
    return f"{prefix}-{instance_number}"
