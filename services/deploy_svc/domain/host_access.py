"""What a service, or what runs of it, uses of its node, and what those are told who may not set that."""

from collections.abc import Collection, Iterable, Mapping

from services.deploy_svc.domain.host_level import volume_options
from services.deploy_svc.domain.pod import Pod
from services.deploy_svc.domain.service_input import ATTRIBUTES
from services.deploy_svc.domain.service_spec import ContainerSpec, ServiceSpec
from services.deploy_svc.domain.volume import Mount

# By attribute, the parts that are host-level.
Found = Mapping[str, tuple[str, ...]]


def of_service(spec: ServiceSpec, mounts: Iterable[Mount], open_paths: Collection[str]) -> Found:
    """The host-level attributes of a service whose named volumes are `mounts`."""
    named = [mount.name for mount in mounts if volume_options(mount.driver, mount.driver_opts)]
    return _found(spec, spec.volumes, named, open_paths)


def of_pod(pod: Pod, open_paths: Collection[str]) -> Found:
    """The host-level attributes of what runs."""
    bound = [f"{volume.bind_mount}:{volume.path}" for volume in pod.volumes if volume.bind_mount]
    named = [volume.name for volume in pod.volumes if volume.name and volume_options(volume.driver, volume.driver_opts)]
    return _found(pod, bound, named, open_paths)


def told(found: Found) -> str:
    """The attributes with their parts, for people."""
    return ", ".join(f"{name} ({', '.join(parts)})"[:200] for name, parts in found.items())


def _found(
    container: ContainerSpec, volumes: Collection[str], named: Collection[str], open_paths: Collection[str]
) -> Found:
    values = {name: getattr(container, name, None) for name in ATTRIBUTES} | {"volumes": tuple(volumes)}
    found = {
        name: tuple(attribute.host(values[name], open_paths))
        for name, attribute in ATTRIBUTES.items()
        if values[name] is not None
    }
    found["volumes"] = (*found["volumes"], *named)
    return {name: parts for name, parts in found.items() if parts}
