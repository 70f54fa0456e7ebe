"""Messages of agent sessions. What agents say is cleaned and cut to what `domain/agent_limits.py` says, because
every follower of nodes gets it."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import fields
from datetime import timedelta
from weakref import WeakKeyDictionary

from google.protobuf.duration_pb2 import Duration

from kontena.grid.v1 import grid_pb2, node_pb2
from kontena.grid.v1 import node_session_pb2 as pb
from services.grid_svc.convert import grid as grids
from services.grid_svc.convert import resource_usage
from services.grid_svc.domain import agent_limits as most
from services.grid_svc.domain.network import NodeNetwork, Peer, PeerUpdate
from services.grid_svc.domain.network_report import STATES, UNKNOWN, NetworkReport, PeerTraffic
from services.grid_svc.domain.node import Driver, Facts
from services.grid_svc.domain.session import Heartbeat, Hello, JoinTokens, KeyProof, NodeDescription, NodeInfo
from services.grid_svc.usecases.node_sessions import HeartbeatReply, Incoming, KeyChallenge, Outgoing, Welcome
from services.kernel.times import told
from services.kernel.validation import clean

_APART = ("statsd", "logs", "network")
_DESCRIBED_AS_IS = tuple(field.name for field in fields(NodeDescription) if field.name not in _APART)
_PEER_FIELDS = tuple(field.name for field in fields(Peer))
_LONGEST_PROBLEM = 500
_MOST_PROBLEMS = 20
_MOST_PEERS = 5000
_LONGEST_KEY = 64
# Steps of the list of peers that many agents are told, as one message.
_told: WeakKeyDictionary[PeerUpdate, pb.ConnectResponse] = WeakKeyDictionary()


def join_tokens(metadata: Mapping[str, str]) -> JoinTokens:
    """The tokens in the metadata of a call."""
    return JoinTokens(metadata.get("kontena-grid-token", ""), metadata.get("kontena-node-token", ""))


async def incoming_from_proto(requests: AsyncIterator[pb.ConnectRequest]) -> AsyncIterator[Incoming]:
    """What an agent says."""
    async for request in requests:
        yield _incoming(request)


def _incoming(request: pb.ConnectRequest) -> Incoming:
    match request.WhichOneof("message"):
        case "hello":
            hello = request.hello
            sent_at = told(hello.sent_at)
            # Longer than any id: such a one is refused and not cut, which would make it the id of somebody else.
            engine_id = clean(hello.node_id[: 2 * most.TEXT])
            texts = (engine_id, most.text(hello.name), most.text(hello.agent_version, most.VERSION))
            start_id = most.text(hello.start_id, most.VERSION)
            return Hello(*texts, most.labels(hello.labels), sent_at, start_id, hello.node_key[: most.TEXT])
        case "proof":
            return KeyProof(request.proof.signature[: most.TEXT])
        case "info":
            return _info(request.info)
        case "stats":
            return resource_usage.usage_from_proto(request.stats)
        case "network":
            return _report(request.network)
        case _:
            # A message of a newer agent is at least a sign of life.
            return Heartbeat()


def outgoing_to_proto(message: Outgoing) -> pb.ConnectResponse:
    """What the master says."""
    match message:
        case Welcome():
            welcome = pb.Welcome(
                session_token=message.token,
                node=_description(message.node),
                heartbeat_period=_duration(message.heartbeat_seconds),
                clock_skew=_duration(message.clock_skew_seconds),
            )
            return pb.ConnectResponse(welcome=welcome)
        case KeyChallenge():
            return pb.ConnectResponse(challenge=pb.KeyChallenge(nonce=message.nonce))
        case HeartbeatReply():
            period = _duration(message.heartbeat_seconds)
            return pb.ConnectResponse(heartbeat=pb.HeartbeatReply(heartbeat_period=period, session_token=message.token))
        case NodeDescription():
            return pb.ConnectResponse(node=_description(message))
        case PeerUpdate():
            if message not in _told:
                _told[message] = pb.ConnectResponse(peers=_peers(message))
            return _told[message]


def _info(info: pb.NodeInfo) -> NodeInfo:
    facts = Facts(
        os=_text(info.os),
        kernel_version=_text(info.kernel_version),
        driver=_text(info.driver),
        engine_root_dir=_text(info.engine_root_dir),
        docker_version=_text(info.docker_version),
        public_ip=most.address(info.public_ip),
        private_ip=most.address(info.private_ip),
        mem_total=resource_usage.finite(info.mem_total),
        mem_limit=resource_usage.finite(info.mem_limit),
        cpus=info.cpus,
        network_drivers=_drivers(info.network_drivers),
        volume_drivers=_drivers(info.volume_drivers),
        network=NodeNetwork(
            _text(info.network.public_key[:_LONGEST_KEY]),
            _port(info.network.wireguard_port),
            _port(info.network.vxlan_port),
        ),
    )
    return NodeInfo(facts, most.labels(info.labels))


def _report(report: pb.NetworkReport) -> NetworkReport:
    peers = (
        PeerTraffic(
            most.text(peer.id),
            told(peer.last_handshake),
            peer.rx_bytes,
            peer.tx_bytes,
        )
        for peer in report.peers[:_MOST_PEERS]
    )
    return NetworkReport(
        state=report.state if report.state in STATES else UNKNOWN,
        problems=tuple(clean(text[:_LONGEST_PROBLEM]) for text in report.problems[:_MOST_PROBLEMS]),
        names=report.names,
        resolver_running=report.resolver_running,
        peers=tuple(peers),
    )


def _port(number: int) -> int:
    return number if 0 < number < 65_536 else 0


def _peers(update: PeerUpdate) -> pb.PeerUpdate:
    upserted = [pb.Peer(**{name: getattr(peer, name) for name in _PEER_FIELDS}) for peer in update.upserted]
    return pb.PeerUpdate(reset=update.reset, upserted=upserted, removed=update.removed)


def _drivers(items: Sequence[node_pb2.Driver]) -> tuple[Driver, ...]:
    return tuple(Driver(most.text(item.name), _text(item.version)) for item in items[: most.ELEMENTS])


def _description(node: NodeDescription) -> pb.NodeDescription:
    # Not `asdict`, which copies the addresses one by one: a grid may have thousands, and every agent hears of them.
    same = {name: getattr(node, name) for name in _DESCRIBED_AS_IS}
    network = grid_pb2.GridNetwork(mode=node.network.mode, node_prefix=node.network.node_prefix)
    return pb.NodeDescription(
        **same, stats=grids.stats_to_proto(node.statsd), logs=grids.logs_to_proto(node.logs), network=network
    )


def _text(value: str) -> str | None:
    return most.text(value) or None


def _duration(seconds: float) -> Duration:
    duration = Duration()
    duration.FromTimedelta(timedelta(seconds=seconds))
    return duration
