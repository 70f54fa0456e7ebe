"""Comments of the protos, as descriptions for readers who do not have the source tree."""

import re
from collections.abc import Iterator, Sequence

from google.protobuf import descriptor_pb2

Descriptors = descriptor_pb2.FileDescriptorSet

# Sentences that point to pages of the repository mean nothing to a reader of the API.
_SENTENCE_END = re.compile(r"(?<=\.)\s+")
_REFERENCE = re.compile(r"\bdocs/")
_MESSAGE, _ENUM, _SERVICE = 4, 5, 6  # Field numbers of FileDescriptorProto.
_FIELD, _NESTED, _NESTED_ENUM, _METHOD, _VALUE = 2, 3, 4, 2, 2

# What fields are everywhere that have one of these names and say nothing of their own.
_EVERYWHERE = {
    "created_at": "When it was created.",
    "deploy_id": "Deploy id.",
    "email": "E-mail of the user.",
    "grid": "Grid name.",
    "grid_id": "Grid id.",
    "image": "Image.",
    "instance_id": "Instance id.",
    "labels": "Labels.",
    "memory": "Memory.",
    "name": "Name.",
    "network": "Network.",
    "stack": "Stack name.",
    "user_id": "User id.",
}


def comments(descriptors: Descriptors) -> dict[str, str]:
    """The comment of each message, field, enum, enum value, service and method, by full name."""
    found: dict[str, str] = {}
    for file in descriptors.file:
        names = dict(_names(file))
        common = {name: _EVERYWHERE.get(name.rpartition(".")[2]) for name in names.values()}
        found |= {name: text for name, text in common.items() if text is not None}
        for location in file.source_code_info.location:
            name = names.get(tuple(location.path))
            if name is not None and location.leading_comments:
                found[name] = clean(location.leading_comments)
    return found


def clean(comment: str) -> str:
    """One paragraph, without references."""
    sentences = _SENTENCE_END.split(" ".join(comment.split()))
    return " ".join(sentence for sentence in sentences if not _REFERENCE.search(sentence))


def _names(file: descriptor_pb2.FileDescriptorProto) -> Iterator[tuple[tuple[int, ...], str]]:
    package = file.package
    for number, message in enumerate(file.message_type):
        yield from _message((_MESSAGE, number), f"{package}.{message.name}", message)
    for number, enum in enumerate(file.enum_type):
        yield from _members((_ENUM, number), f"{package}.{enum.name}", enum.value, _VALUE)
    for number, service in enumerate(file.service):
        yield from _members((_SERVICE, number), f"{package}.{service.name}", service.method, _METHOD)


def _message(
    path: tuple[int, ...], name: str, message: descriptor_pb2.DescriptorProto
) -> Iterator[tuple[tuple[int, ...], str]]:
    yield from _members(path, name, message.field, _FIELD)
    for number, nested in enumerate(message.nested_type):
        yield from _message((*path, _NESTED, number), f"{name}.{nested.name}", nested)
    for number, enum in enumerate(message.enum_type):
        yield from _members((*path, _NESTED_ENUM, number), f"{name}.{enum.name}", enum.value, _VALUE)


def _members(
    path: tuple[int, ...],
    name: str,
    members: Sequence[
        descriptor_pb2.FieldDescriptorProto
        | descriptor_pb2.EnumValueDescriptorProto
        | descriptor_pb2.MethodDescriptorProto
    ],
    kind: int,
) -> Iterator[tuple[tuple[int, ...], str]]:
    yield path, name
    for number, member in enumerate(members):
        yield (*path, kind, number), f"{name}.{member.name}"
