"""What becomes of each key of a compose file. docs/compose.md shows these tables."""

from collections.abc import Mapping
from typing import Any

from services.deploy_svc.domain.compose import deploying, health, mounted_files, networks, scalars
from services.deploy_svc.domain.compose import service_parts as parts
from services.deploy_svc.domain.compose.interpolation import EXTENSION
from services.deploy_svc.domain.compose.mounts import volumes
from services.deploy_svc.domain.compose.ports import ports
from services.deploy_svc.domain.compose.project import Project
from services.deploy_svc.domain.compose.table import Attributes, Key, no_effect, value
from services.deploy_svc.domain.findings import Place

_CPUS = "Use `cpus`."
_DEVICES = "Name `devices` of the node, and choose nodes by a label: `deploy.placement.constraints`."
_LEAVE = "Leave it out: "
_NAMESPACE = _LEAVE + "containers have this one of their own."


def _log_options(place: Place, given: Any, _: Project) -> Attributes:
    return {"log_opts": {name: text for name, text in scalars.pairs(place, given).items() if text is not None}}


def _joined(attribute: str) -> Key:
    return value(attribute, scalars.texts)


SERVICE: Mapping[str, Key] = {
    "image": value("image", scalars.text),
    "build": Key("Images are not built here: build it where the files are (docker build), push it, and use `image`."),
    # The process.
    "command": Key("`cmd`", parts.command("cmd")),
    "entrypoint": Key("`entrypoint`", parts.command("entrypoint")),
    "environment": Key("`env`", parts.env),
    "env_file": no_effect("`env`, below `environment`; the file is sent with the others"),
    "user": value("user", scalars.text),
    "group_add": _joined("group_add"),
    "working_dir": value("working_dir", scalars.text),
    "init": value("init", scalars.boolean),
    "stop_signal": value("stop_signal", scalars.text),
    "stop_grace_period": value("stop_grace_period", scalars.whole_seconds()),
    "labels": Key("`labels`", parts.labels),
    "healthcheck": Key("`health_check`", health.health_check, health.KEYS),
    "post_start": health.hooks("post_start"),
    "pre_stop": health.hooks("pre_stop"),
    "pre_start": health.hooks("pre_start"),
    "logging": Key("", members={
        "driver": value("log_driver", scalars.text), "options": Key("`log_opts`", _log_options),
    }),
    # What it may do and use.
    "privileged": value("privileged", scalars.boolean),
    "cap_add": _joined("cap_add"),
    "cap_drop": _joined("cap_drop"),
    "devices": Key("`devices`", parts.devices),
    "read_only": value("read_only", scalars.boolean),
    "pid": Key("`pid`, for host", parts.host_pid),
    "sysctls": Key("`sysctls`", parts.sysctls),
    "ulimits": Key("`ulimits`", parts.ulimits),
    "cpus": value("cpus", scalars.number),
    "cpu_shares": value("cpu_shares", scalars.integer),
    "mem_limit": value("memory", scalars.size),
    "memswap_limit": value("memory_swap", parts.memory_swap),
    "shm_size": value("shm_size", scalars.size),
    # Data and network.
    "volumes": Key("`volumes`, `tmpfs`; with volumes that are no path of the node the service is `stateful`", volumes),
    "volumes_from": Key("`volumes_from`", parts.volumes_from),
    "tmpfs": _joined("tmpfs"),
    "ports": Key("`ports`; without a port of the node, one that is free", ports),
    "expose": no_effect("nothing: services of the grid reach every port"),
    "networks": Key("nothing, while they do not keep services apart", networks.networks),
    "network_mode": Key("`net`", networks.network_mode),
    "links": Key("`links`, without other aliases", parts.links),
    "extra_hosts": Key("`extra_hosts`", parts.extra_hosts),
    "dns": _joined("dns_servers"),
    # How it is run.
    "depends_on": Key("`links`: the order of a deploy", parts.depends_on),
    "deploy": Key("", members=deploying.KEYS),
    "scale": value("instances", deploying.instances),
    "restart": deploying.restart,
    EXTENSION: no_effect("any keys of a service of a stack file (below), in their words; they win over the others"),
    "profiles": no_effect("whether the service is there"),
    "extends": no_effect("the service together with the one it extends"),
    "attach": no_effect("nothing: it is for people at a terminal"),
    "develop": no_effect("nothing: it is for people who change the files"),
    # Files.
    "secrets": Key("`secrets` of the type `file`, below /run/secrets", mounted_files.secrets),
    "configs": Key("`configs`", mounted_files.configs),
    # Without a counterpart.
    "container_name": Key("Containers are called by their service and number: leave it out."),
    "hostname": Key("Hosts are called by their service and number: leave it out, and name the service so."),
    "domainname": Key(_LEAVE + "the domain is STACK.GRID.kontena.local."),
    "external_links": Key("Services of other stacks are reached as SERVICE.STACK: leave it out."),
    "label_file": Key("Write the `labels`."),
    "annotations": Key("Use `labels`."),
    "security_opt": Key(_LEAVE + "the profiles of the engine apply."),
    "dns_opt": Key(_LEAVE + "names are resolved by the node."),
    "dns_search": Key(_LEAVE + "names are looked up in the stack and the grid."),
    "mac_address": Key(_LEAVE + "addresses are given by the grid."),
    "stdin_open": Key(_LEAVE + "nobody is at the other end. Use exec for a terminal in a running container."),
    "tty": Key(_LEAVE + "nobody is at the other end. Use exec for a terminal in a running container."),
    "platform": Key("Choose nodes by a label: `deploy.placement.constraints`."),
    "pull_policy": Key(_LEAVE + "nodes pull images when they deploy."),
    "pull_refresh_after": Key(_LEAVE + "nodes pull images when they deploy."),
    "mem_reservation": Key("Use `mem_limit`: it is what the scheduler reserves."),
    "mem_swappiness": Key("Use `memswap_limit`."),
    "pids_limit": Key("Use `ulimits.nproc`."),
    "cpu_count": Key(_CPUS), "cpu_percent": Key(_CPUS), "cpu_quota": Key(_CPUS), "cpu_period": Key(_CPUS),
    "cpu_rt_period": Key(_CPUS), "cpu_rt_runtime": Key(_CPUS), "cpuset": Key(_CPUS),
    "oom_kill_disable": Key(_LEAVE + "containers beyond their memory are ended."),
    "oom_score_adj": Key(_LEAVE + "containers beyond their memory are ended."),
    "blkio_config": Key(_LEAVE + "input and output are not limited."),
    "storage_opt": Key(_LEAVE + "the size of containers is not limited."),
    "device_cgroup_rules": Key(_DEVICES),
    "gpus": Key(_DEVICES),
    "cgroup": Key(_NAMESPACE), "cgroup_parent": Key(_NAMESPACE), "ipc": Key(_NAMESPACE), "uts": Key(_NAMESPACE),
    "userns_mode": Key(_NAMESPACE),
    "isolation": Key(_LEAVE + "it is for Windows."),
    "credential_spec": Key(_LEAVE + "it is for Windows."),
    "runtime": Key(_LEAVE + "the default runtime of the engine is used."),
    "umask": Key(_LEAVE + "set it in the command."),
    "use_api_socket": Key("Mount the socket of the engine where host access is allowed."),
    "provider": Key("Use a service with an image."),
    "models": Key("Use a service with an image that serves the model."),
}  # fmt: skip

VOLUME: Mapping[str, Key] = {
    "name": no_effect("the name of the volume of the grid, in the scope `grid`"),
    "driver": no_effect("`driver` of the volume"),
    "driver_opts": no_effect("`driver_opts` of the volume"),
    "external": no_effect("a volume of the grid that exists"),
    "labels": Key("Volumes have no labels: leave it out."),
}

# The top level: rows of mappings are those of each of their elements.
TOP: Mapping[str, Key] = {
    "name": no_effect("the name of the stack, unless the request has one"),
    "version": no_effect("nothing"),
    "services": no_effect("services of the stack"),
    "volumes": no_effect("volumes of the grid, to be made first"),
    "networks": no_effect("nothing: there is one network"),
    "secrets": no_effect("secrets of the vault, to be written first"),
    "configs": no_effect("configs of the grid, to be made first"),
    "include": Key("Send the files together: name them in `order`."),
    "models": Key("Use a service with an image that serves the model."),
    "jobs": Key("Services keep running, jobs are not supported: use a `pre_start` hook."),
}
ELEMENTS: Mapping[str, Mapping[str, Key]] = {
    "services": SERVICE, "volumes": VOLUME, "networks": networks.TOP,
    "secrets": mounted_files.SECRET, "configs": mounted_files.CONFIG,
}  # fmt: skip
