"""Field masks of updates: what a gRPC caller says that a request sets."""

from typing import Any, TypeVar

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message

from services.kernel.errors import InvalidRequest

M = TypeVar("M", bound=Message)


def narrowed(message: M, mask: FieldMask, *, but: tuple[str, ...] = ()) -> M:
    """What `mask` names of the message, and nothing else; the message itself when the mask is empty.

    Paths are relative to the message, e.g. `env`, `deploy_opts.min_health`; `but` are members no mask may name. Raises
    InvalidRequest for any other path, `*` included: what it means would change with each release.
    """
    if not mask.paths:
        return message
    found = type(message)()
    for path in mask.paths:
        if path in but or not _names_field(message.DESCRIPTOR, path):
            raise InvalidRequest(f"update_mask: there is no attribute {path[:200]!r}", field="update_mask")
        _copy(message, found, path)
    return found


def _names_field(descriptor: Any, path: str) -> bool:
    name, dot, rest = path.partition(".")
    field = descriptor.fields_by_name.get(name)
    if field is None or not dot:
        return field is not None
    return _has_members(field) and _names_field(field.message_type, rest)


def _has_members(field: FieldDescriptor) -> bool:
    """Whether a path may go on behind the field: not into lists, nor into what stands for any JSON."""
    inner = field.message_type
    return inner is not None and not field.is_repeated and not inner.full_name.startswith("google.protobuf.")


def _copy(source: Any, target: Any, path: str) -> None:
    name, _, rest = path.partition(".")
    field = source.DESCRIPTOR.fields_by_name[name]
    if rest:
        # Named in part, it is there: its members say what they say.
        getattr(target, name).SetInParent()
        _copy(getattr(source, name), getattr(target, name), rest)
    elif field.is_repeated:
        target.ClearField(name)
        getattr(target, name).MergeFrom(getattr(source, name))
    elif field.has_presence and not source.HasField(name):
        return
    elif field.message_type is not None:
        getattr(target, name).CopyFrom(getattr(source, name))
    else:
        setattr(target, name, getattr(source, name))
