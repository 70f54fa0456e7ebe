"""Node messages."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace

from kontena.grid.v1 import legacy_node_pb2
from kontena.grid.v1 import node_pb2 as pb
from services.grid_svc.convert import grid as grids
from services.grid_svc.convert import resource_usage
from services.grid_svc.domain.grid import Grid, overlay_ip
from services.grid_svc.domain.network import Peer
from services.grid_svc.domain.network_report import PeerTraffic
from services.grid_svc.domain.node import Driver, Node, NodeChanges, NodeInput, peer
from services.grid_svc.domain.node_view import NodePart, ShownNode
from services.grid_svc.usecases.nodes import HealthView, NodeView
from services.kernel.members import given
from services.kernel.times import shown


def node_to_proto(view: NodeView) -> pb.Node:
    message = _own(view.node)
    message.MergeFrom(_around(view.node.node_number, view.node.name, view.grid))
    message.MergeFrom(
        pb.Node(peer_ips=view.peer_ips, connection_error=view.node.connection_error, grid=_grid(view.grid))
    )
    return message


def part(node: Node) -> NodePart:
    """What is kept of a version of a node."""
    error = replace(node, conflict=None).connection_error
    return NodePart(_own(node).SerializeToString(), node.etag, node.name, node.node_number, peer(node), error)


def joined(nodes: Iterable[ShownNode]) -> Iterator[bytes]:
    """The whole answers, encoded. What nodes of a list have in common is so once."""
    grid, encoded = None, b""
    for node in nodes:
        if node.grid is not grid:
            grid, encoded = node.grid, pb.Node(grid=_grid(node.grid)).SerializeToString()
        around = _around(node.part.node_number, node.part.name, node.grid)
        around.MergeFrom(pb.Node(peer_ips=node.peer_ips, connection_error=node.connection_error))
        yield node.part.encoded + around.SerializeToString() + encoded


def _around(number: int, name: str, grid: Grid) -> pb.Node:
    """What depends on the grid of a node."""
    initial = number <= grid.initial_size
    return pb.Node(
        id=f"{grid.name}/{name}",
        overlay_ip=overlay_ip(grid.subnet, number),
        initial_member=initial,
        initial_node=initial,
    )


def _own(node: Node) -> pb.Node:
    """What depends on the node alone; it has no member of the rest."""
    facts = node.facts
    return pb.Node(
        node_id=node.engine_id,
        name=node.name,
        connected=node.connected,
        updated=node.connected and node.updated,
        availability=node.availability,
        status=node.status,
        has_token=node.token is not None,
        created_at=shown(node.created_at),
        updated_at=shown(node.updated_at),
        last_seen_at=shown(node.last_seen_at),
        connected_at=shown(node.connected_at),
        disconnected_at=shown(node.disconnected_at),
        os=facts.os,
        kernel_version=facts.kernel_version,
        driver=facts.driver,
        # Never absent while connected: it is looked up among the filesystems.
        engine_root_dir=facts.engine_root_dir or ("" if node.connected else None),
        network_drivers=drivers_to_proto(facts.network_drivers),
        volume_drivers=drivers_to_proto(facts.volume_drivers),
        labels=node.labels,
        mem_total=facts.mem_total or 0.0,
        mem_limit=facts.mem_limit or 0.0,
        cpus=facts.cpus or 0,
        public_ip=facts.public_ip,
        private_ip=facts.private_ip,
        agent_version=node.agent_version,
        docker_version=facts.docker_version,
        node_number=node.node_number,
        resource_usage=resource_usage.usage_to_proto(node),
        key_fingerprint=node.key_fingerprint,
    )


def health_to_proto(found: HealthView) -> pb.NodeHealth:
    """The health of a connected node. There is no etcd on our nodes, and clients are told so instead of a guess."""
    node, grid = found.node, found.grid
    return pb.NodeHealth(
        id=f"{grid.name}/{node.name}",
        name=node.name,
        node_number=node.node_number,
        initial_member=node.node_number <= grid.initial_size,
        status=node.status,
        connected_at=shown(node.connected_at),
        disconnected_at=shown(node.disconnected_at),
        connected=node.connected,
        etcd_health=pb.EtcdHealth(error="nodes of this master run no etcd"),
        last_seen_at=shown(node.last_seen_at),
        clock_skew=node.clock_skew,
        network=_network(found),
    )


def _network(found: HealthView) -> pb.NetworkHealth:
    grid, node, report = found.grid, found.node, found.report
    traffic = {peer.id: peer for peer in report.peers}
    health = pb.NetworkHealth(
        state=report.state,
        mode=grid.network.mode,
        block=grid.blocks.of(node.node_number),
        overlay_ip=overlay_ip(grid.subnet, node.node_number),
        problems=report.problems,
        peers=[_peer(peer, traffic.get(peer.id)) for peer in found.peers],
        reported_at=shown(report.at),
    )
    if report.at is not None:
        health.resolver.CopyFrom(pb.ResolverHealth(running=report.resolver_running, names=report.names))
    return health


def _peer(peer: Peer, traffic: PeerTraffic | None) -> pb.PeerHealth:
    host = f"[{peer.endpoint}]" if ":" in peer.endpoint else peer.endpoint
    return pb.PeerHealth(
        name=peer.name,
        node_number=peer.node_number,
        mode=peer.mode,
        endpoint=f"{host}:{peer.port}",
        block=peer.block,
        last_handshake=shown(traffic.last_handshake) if traffic else None,
        rx_bytes=traffic.rx_bytes if traffic else 0,
        tx_bytes=traffic.tx_bytes if traffic else 0,
    )


def new_node_from_proto(request: pb.CreateNodeRequest) -> NodeInput:
    """The attributes of a node created ahead; an attribute that is null is absent."""
    return NodeInput(**given(request, "name", "token"), labels=list(request.labels))


def label_changes_from_proto(request: legacy_node_pb2.UpdateLegacyNodeRequest, present: Collection[str]) -> NodeChanges:
    """The labels a request sets, as `changes`."""
    return NodeChanges(list(request.labels) if request.labels or "labels" in present else None)


def changes_from_proto(request: pb.UpdateNodeRequest, present: Collection[str]) -> NodeChanges:
    """The attributes a request sets. Labels that are null cannot be told from an empty list, and clear."""
    labels = list(request.labels) if request.labels or "labels" in present else None
    return NodeChanges(labels, **given(request, "availability"))


def drivers_to_proto(values: Iterable[Driver]) -> list[pb.Driver]:
    """Plugins of the engine."""
    return [pb.Driver(name=driver.name, version=driver.version) for driver in values]


def _grid(grid: Grid) -> pb.NodeGrid:
    return pb.NodeGrid(
        id=grid.name,
        name=grid.name,
        initial_size=grid.initial_size,
        token=grid.token,
        stats=grids.stats_to_proto(grid.statsd),
        trusted_subnets=grid.trusted_subnets,
        subnet=grid.subnet,
        supernet=grid.supernet,
        logs=grids.logs_to_proto(grid.logs),
    )
