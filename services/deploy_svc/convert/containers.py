"""Containers: reports of nodes in, answers out (docs/spec/deploy_rest.md section 10.3)."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from google.protobuf.struct_pb2 import ListValue

from kontena.deploy.v1 import container_pb2 as pb
from kontena.deploy.v1 import container_report_pb2 as report_pb
from services.deploy_svc.domain import container as domain
from services.deploy_svc.domain.container import Binding, Details, Network, Reported, State
from services.deploy_svc.usecases.container_reports import Batch
from services.deploy_svc.usecases.containers import ContainerView
from services.kernel.times import shown, told

_LONGEST = 128 * 1024
# Characters that all words of one list may have together, and their number.
_LONGEST_LIST = 256 * 1024
_MOST_WORDS = 1000
_STATE = ("error", "exit_code", "pid", "oom_killed", "paused", "restarting", "dead", "running")
_NETWORK = ("bridge", "gateway", "ip_address", "ip_prefix_len", "mac_address")


def batch_from_proto(request: report_pb.ReportContainersRequest) -> Batch:
    """A report. Texts are cut, as a node's word is not checked by anybody else."""
    return Batch(
        containers=[_reported(item) for item in request.containers if item.container_id],
        removed=[_text(item) for item in request.removed],
        present=[_text(item) for item in request.present] if request.snapshot else None,
    )


def _reported(item: report_pb.ContainerReport) -> Reported:
    labels: Mapping[str, str] = item.labels
    return Reported(
        container_id=_text(item.container_id),
        name=_text(item.name),
        type="volume" if labels.get(domain.TYPE_LABEL) == "volume" else "container",
        service_id=_text(labels.get(domain.SERVICE_LABEL, ""))[:24] or None,
        instance_number=domain.number(labels, domain.INSTANCE_LABEL),
        created_at=told(item.created_at),
        started_at=told(item.started_at),
        finished_at=told(item.finished_at),
        details=Details(
            image=_text(item.image),
            image_version=_text(item.image_version),
            cmd=_words(item.cmd),
            env=_words(item.env),
            hostname=_text(item.hostname),
            domainname=_text(item.domainname),
            deploy_rev=_text(labels.get(domain.DEPLOY_REV_LABEL, "")),
            service_rev=_text(labels.get(domain.SERVICE_REV_LABEL, "")),
            state=State(**{name: _value(getattr(item.state, name)) for name in _STATE}),
            network=Network(**{name: _value(getattr(item.network, name)) for name in _NETWORK}),
            ports=[
                Binding(_text(port.container_port), _text(port.node_ip), port.node_port)
                for port in item.ports[:_MOST_WORDS]
            ],
            volumes=[(_text(volume.container), _text(volume.node)) for volume in item.volumes[:_MOST_WORDS]],
        ),
    )


def container_to_proto(view: ContainerView) -> pb.Container:
    found, details = view.container, view.container.details
    node = None if view.node is None else _node(view)
    return pb.Container(
        id=f"{view.grid.name}/{view.node.name}/{found.name}" if view.node is not None else found.name,
        name=found.name,
        container_id=found.container_id,
        grid_id=view.grid.name,
        node=node,
        service_id=None if found.service is None else f"{view.grid.name}/{'/'.join(found.service)}",
        created_at=shown(found.created_at),
        updated_at=shown(found.updated_at),
        started_at=shown(found.started_at),
        finished_at=shown(found.finished_at),
        status=found.status,
        state=pb.ContainerState(**{name: getattr(details.state, name) for name in _STATE}),
        deploy_rev=details.deploy_rev or None,
        service_rev=details.service_rev or None,
        instance_number=found.instance_number,
        image=details.image,
        image_version=details.image_version or None,
        hostname=details.hostname or None,
        domainname=details.domainname or None,
        cmd=details.cmd,
        env=details.env,
        volumes=[pb.ContainerVolume(container=inside, node=outside) for inside, outside in details.volumes],
        ip_address=details.network.ip_address or None,
        network_settings=_network(details),
        health_status=None
        if found.health is None
        else pb.ContainerHealth(status=found.health[0], updated_at=shown(found.health[1])),
    )


def _node(view: ContainerView) -> pb.ContainerNode:
    node, grid = view.node, view.grid
    assert node is not None  # noqa: S101 -- for the type checker.
    return pb.ContainerNode(
        id=node.engine_id,
        connected=node.connected,
        name=node.name,
        labels=node.labels,
        public_ip=node.public_ip or None,
        private_ip=node.private_ip or None,
        node_number=node.number,
        grid=pb.ContainerGrid(id=grid.name, name=grid.name, initial_size=grid.initial_size),
    )


def _network(details: Details) -> pb.ContainerNetwork:
    ports: defaultdict[str, ListValue] = defaultdict(ListValue)
    for port in details.ports:
        entries = ports[port.container_port]
        if port.node_port:
            entries.add_struct().update({"node_ip": port.node_ip, "node_port": port.node_port})
    return pb.ContainerNetwork(**{name: getattr(details.network, name) for name in _NETWORK}, ports=ports)


def _value(value: Any) -> Any:
    return _text(value) if isinstance(value, str) else value


def _text(text: str) -> str:
    return text[:_LONGEST]


def _words(words: Sequence[str]) -> list[str]:
    """The first words, as many as fit."""
    kept, left = [], _LONGEST_LIST
    for word in words[:_MOST_WORDS]:
        text = _text(word)
        left -= len(text)
        if left < 0:
            break
        kept.append(text)
    return kept
