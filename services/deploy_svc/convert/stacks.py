"""Stacks and their documents, to and from the wire (docs/spec/deploy_rest.md sections 3.1 and 3.2)."""

from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Any

from google.protobuf.struct_pb2 import Struct, Value

from kontena.deploy.v1 import stack_deploy_pb2 as deploy_pb
from kontena.deploy.v1 import stack_pb2 as pb
from services.deploy_svc.convert import services
from services.deploy_svc.convert.service_deploys import deploy_to_proto, seconds_between
from services.deploy_svc.convert.service_spec import attributes_from_proto as service_attributes
from services.deploy_svc.convert.service_spec import plain
from services.deploy_svc.domain.stack import Document, Kin, ShownStack, Stack, StackPart, StackState
from services.deploy_svc.domain.stack_deploy import StackDeploy
from services.kernel.encoded import listing
from services.kernel.times import shown

_TEXTS = ("name", "stack", "version", "registry", "source", "expose", "parent_name")


def attributes_from_proto(spec: pb.StackSpec, fields: Collection[str], nulls: Collection[str] = ()) -> dict[str, Any]:
    """What was given by name; None for an explicit null of a text."""
    given: dict[str, Any] = {name: None for name in _TEXTS if name in nulls}
    given |= {name: getattr(spec, name) for name in _TEXTS if spec.HasField(name)}  # type: ignore[arg-type]
    if spec.services or "services" in fields or "services" in nulls:
        given["services"] = [service_attributes(service, ()) for service in spec.services]
    if spec.HasField("variables"):
        given["variables"] = plain_object(spec.variables)
    if spec.HasField("metadata"):
        given["metadata"] = plain_object(spec.metadata)
    if spec.HasField("parent"):
        given["parent"] = {"name": spec.parent.name, "id": spec.parent.id}
    given["volumes"] = [{"name": item.name, "external": plain(item.external)} for item in spec.volumes]
    given["labels"] = list(spec.labels)
    return given


def part(stack: Stack) -> StackPart:
    """What is kept of a version of a stack."""
    message = pb.Stack(
        id=stack.path,
        name=stack.name,
        created_at=shown(stack.created_at),
        updated_at=shown(stack.updated_at),
        revision=stack.revision,
        variables=Struct(),
        metadata=Struct(),
    )
    if stack.document is not None:
        _document(message, stack.document)
    return StackPart(message.SerializeToString(), stack.etag if stack.id else "", stack.grid, stack.parent_name)


def joined(stack: ShownStack) -> bytes:
    """The whole answer, encoded."""
    others = _others(stack.part.grid, stack.part.parent_name, stack.state, stack.kin)
    return stack.part.encoded + listing(pb.Stack, "services", map(services.joined, stack.services)) + others


@lru_cache(maxsize=1000)
def _others(grid: str, parent: str | None, state: StackState, kin: Kin) -> bytes:
    """What depends on other objects, encoded. Most stacks of a grid have no relatives."""
    return pb.Stack(
        state=state,
        children=[pb.StackChild(id=f"{grid}/{name}", name=name) for name in kin.children],
        parent=None
        if parent is None
        else pb.StackParent(id=f"{grid}/{parent}" if kin.parent_exists else None, name=parent),
    ).SerializeToString()


def stack_deploy_to_proto(stack: Stack, deploy: StackDeploy) -> deploy_pb.StackDeploy:
    """A deploy with the deploys of its services."""
    return deploy_pb.StackDeploy(
        id=deploy.id,
        stack_id=stack.path,
        created_at=shown(deploy.created_at),
        state=deploy.state,
        reason=deploy.reason,
        revision=deploy.revision,
        finished_at=shown(deploy.finished_at),
        service_deploys=[deploy_to_proto(service, item) for service, item in deploy.service_deploys],
        asked_by=deploy.asked.by,
        origin=deploy.asked.origin,
        origin_name=deploy.asked.name,
        seconds=seconds_between(deploy.created_at, deploy.finished_at),
        canceled_at=shown(deploy.canceled_at),
    )


def value_to_proto(value: Any) -> Value:
    """Any JSON value."""
    holder = Struct()
    holder.update({"value": _listed(value)})
    return holder.fields["value"]


def _document(message: pb.Stack, document: Document) -> None:
    message.MergeFrom(
        pb.Stack(
            stack=document.stack,
            version=document.version,
            registry=document.registry,
            expose=document.expose,
            source=document.source,
            labels=document.labels,
        )
    )
    message.variables.update(document.variables)
    message.metadata.update(document.metadata)


def plain_object(struct: Struct) -> dict[str, Any]:
    """The JSON object."""
    return {name: plain(value) for name, value in struct.fields.items()}


def _listed(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _listed(item) for name, item in value.items()}
    return [_listed(item) for item in value] if isinstance(value, list | tuple) else value
