"""From the engine's description of a container to what the master is told of it: never the value of a secret."""

import json
from collections.abc import Collection, Mapping
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from agent.domain import labels
from agent.domain.log_frames import NANO, parse_time
from kontena.deploy.v1 import container_pb2, container_report_pb2

_HIDDEN = "Env"


def secret_names(tags: Mapping[str, str]) -> set[str]:
    """Names of the variables of a container that carry secrets, as its label says."""
    try:
        found = json.loads(tags.get(labels.SECRET_NAMES, "[]"))
    except ValueError:
        return set()
    return {name for name in found if isinstance(name, str)} if isinstance(found, list) else set()


def secret_names_label(names: Collection[str]) -> str:
    """The label of a container whose variables of these names carry secrets."""
    return json.dumps(sorted(set(names)))


def without_secrets(shown: dict[str, Any], names: Collection[str]) -> dict[str, Any]:
    """The description without the variables of these names."""
    config = shown.get("Config") or {}
    env = [entry for entry in config.get(_HIDDEN) or [] if entry.partition("=")[0] not in names]
    return {**shown, "Config": {**config, _HIDDEN: env}}


def report(shown: Mapping[str, Any]) -> container_report_pb2.ContainerReport:
    """What the master is told; call it with a description without secrets."""
    config, state = shown.get("Config") or {}, shown.get("State") or {}
    network = shown.get("NetworkSettings") or {}
    return container_report_pb2.ContainerReport(
        container_id=shown["Id"],
        name=shown["Name"].removeprefix("/"),
        labels=config.get("Labels") or {},
        image=config.get("Image") or "",
        image_version=shown.get("Image") or "",
        cmd=[*(config.get("Entrypoint") or ()), *(config.get("Cmd") or ())],
        env=config.get("Env") or (),
        hostname=config.get("Hostname") or "",
        domainname=config.get("Domainname") or "",
        created_at=_time(shown.get("Created")),
        started_at=_time(state.get("StartedAt")),
        finished_at=_time(state.get("FinishedAt")),
        state=_state(state),
        network=_network(network),
        ports=_ports(network.get("Ports") or {}),
        volumes=[
            container_pb2.ContainerVolume(
                container=mount.get("Destination") or "", node=mount.get("Name") or mount.get("Source") or ""
            )
            for mount in shown.get("Mounts") or ()
        ],
    )


def _state(state: Mapping[str, Any]) -> container_pb2.ContainerState:
    return container_pb2.ContainerState(
        error=state.get("Error") or "",
        exit_code=state.get("ExitCode") or 0,
        pid=state.get("Pid") or 0,
        oom_killed=bool(state.get("OOMKilled")),
        paused=bool(state.get("Paused")),
        restarting=bool(state.get("Restarting")),
        dead=bool(state.get("Dead")),
        running=bool(state.get("Running")),
    )


def _network(network: Mapping[str, Any]) -> container_pb2.ContainerNetwork:
    """The first network with an address; newer engines tell addresses per network only."""
    entries = [network, *(network.get("Networks") or {}).values()]
    own: Mapping[str, Any] = next((entry for entry in entries if entry.get("IPAddress")), {})
    return container_pb2.ContainerNetwork(
        bridge=network.get("Bridge") or "",
        gateway=own.get("Gateway") or "",
        ip_address=own.get("IPAddress") or "",
        ip_prefix_len=own.get("IPPrefixLen") or 0,
        mac_address=own.get("MacAddress") or "",
    )


def _ports(ports: Mapping[str, Any]) -> list[container_report_pb2.PortBinding]:
    found = []
    for name, bindings in sorted(ports.items()):
        for binding in bindings or [{}]:
            number = str(binding.get("HostPort") or "")
            found.append(
                container_report_pb2.PortBinding(
                    container_port=name,
                    node_ip=binding.get("HostIp") or "",
                    node_port=int(number) if number.isdigit() else 0,
                )
            )
    return found


def _time(text: str | None) -> Timestamp | None:
    time_ns = parse_time(text or "") or 0
    return Timestamp(seconds=time_ns // NANO, nanos=time_ns % NANO) if time_ns > 0 else None
