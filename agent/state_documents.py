"""What is written in the agent's files, and how it is read. One that says anything else is set aside as a whole: half
of what was known is worse than to ask the master. Members that this release does not know are left out."""

import base64
import binascii
from typing import Annotated, Any, TypeVar

from google.protobuf import json_format
from google.protobuf.message import Message
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, PlainSerializer, PlainValidator, RootModel

from agent.domain.assignment import problem_of
from agent.domain.overlay_plan import Peer
from agent.domain.resolver_names import Endpoint
from kontena.deploy.v1 import assignment_pb2 as pb
from kontena.grid.v1 import node_session_pb2 as session_pb

M = TypeVar("M", bound=Message)

# As many as a signed number of 32 or 64 bits can count.
Counter = Annotated[int, Field(ge=0, lt=1 << 31)]
Nanoseconds = Annotated[int, Field(ge=0, lt=1 << 63)]
_PRIVATE_KEY_BYTES = 32
_Position = Annotated[list[Nanoseconds], Field(min_length=1, max_length=3)]


def _parsed(content: Any, message: M) -> M:
    if not isinstance(content, dict):
        raise ValueError("is no object")
    try:
        return json_format.ParseDict(content, message, ignore_unknown_fields=True)
    except json_format.ParseError as error:
        raise ValueError(str(error)) from None


def _node(content: Any) -> session_pb.NodeDescription | None:
    node = None if content is None else _parsed(content, session_pb.NodeDescription())
    if node is not None and not node.id:
        raise ValueError("names no node")
    return node


def _assignment(content: Any) -> pb.Assignment:
    assignment = _parsed(content, pb.Assignment())
    if problem := problem_of(assignment):
        raise ValueError(problem)
    return assignment


_SAID = PlainSerializer(
    lambda message: message and json_format.MessageToDict(message), return_type=dict[str, Any] | None
)


class _Document(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore", arbitrary_types_allowed=True)


class Record(_Document):
    """What was done for an instance. `applied_rev` is the last rollout that was applied completely, None when not
    known; `ready_for` names the start of the container that has opened its port; `hooks` are the ids of the one-shot
    hooks that were started. `data` are the volumes with its data by path. `refused_rev` is the rollout whose container
    did not start, so that the one of before runs again, and `refusal` why."""

    restarts: Counter
    applied_rev: str | None = None
    ready_for: str = ""
    hooks: list[str] = []
    data: dict[str, str] = {}
    refused_rev: str | None = None
    refusal: str = ""


class StateDocument(_Document):
    """`state.json`. The keys of `records` are service id, slash, instance number."""

    node_id: str = ""
    runtime: str = ""
    docker_host: str = ""
    node: Annotated[session_pb.NodeDescription | None, PlainValidator(_node), _SAID] = None
    former_nodes: list[str] = []
    assignments: list[Annotated[pb.Assignment, PlainValidator(_assignment), _SAID]] = []
    records: dict[Annotated[str, Field(pattern=r"^[^/]+/[0-9]{1,9}$")], Record] = {}


class KeyDocument(_Document):
    """`wireguard.json`: the private key of the node, in base64."""

    private_key: str = ""


class NetworkDocument(_Document):
    """`network.json`: `endpoints` is None while none were ever heard of."""

    peers: list[Peer] = []
    endpoints: list[Endpoint] | None = None
    took_part: bool = False


def _private_key(text: Any) -> str:
    try:
        length = len(base64.b64decode(text, validate=True)) if isinstance(text, str) else -1
    except binascii.Error:
        length = -1
    if length != _PRIVATE_KEY_BYTES:
        # Without the value, which would reach the log.
        raise ValueError("is no key")
    return str(text)


class NodeKeyDocument(_Document):
    """`node_key.json`: the Ed25519 private key of the node, in base64."""

    private_key: Annotated[str, PlainValidator(_private_key)] = ""


class PositionsDocument(RootModel[dict[str, _Position]]):
    """`logs.json`: `Position` by container id."""

    model_config = ConfigDict(strict=True)
    root: dict[str, _Position] = {}


class ImagesDocument(RootModel[dict[str, FiniteFloat]]):
    """`images.json`: when each image was last used, in seconds since the epoch, by its id."""

    model_config = ConfigDict(strict=True)
    root: dict[str, FiniteFloat] = {}
