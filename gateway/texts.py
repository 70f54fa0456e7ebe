"""Which members of JSON bodies are texts: there a number or a boolean is taken as the text it is written as, which
clients have always relied on (docs/spec/deploy_rest.md section 1.4) and the transcoder refuses."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from google.protobuf import descriptor_pb2

from gateway.catalog import Service

_Field = descriptor_pb2.FieldDescriptorProto
_Message = descriptor_pb2.DescriptorProto
_STRUCT = ".google.protobuf.Struct"
_LIBRARY = ".google."


@dataclass(frozen=True, slots=True)
class Texts:
    """By the name of a member, wherever it stands: `texts` are strings or lists of them, `maps` have strings as values,
    `opaque` keep what the client wrote. Bodies of requests whose path begins with one of `free` are opaque as a whole.
    """

    texts: set[str] = field(default_factory=set)
    maps: set[str] = field(default_factory=set)
    opaque: set[str] = field(default_factory=set)
    free: set[str] = field(default_factory=set)

    def lua(self) -> str:
        """The same as tables for json_members.lua."""
        tables = (("TEXTS", self.texts), ("TEXT_MAPS", self.maps), ("OPAQUE", self.opaque))
        lines = [
            f"local {name} = {{ {', '.join(f'{one} = true' for one in sorted(names))} }}" for name, names in tables
        ]
        free = ", ".join(f'"{path}"' for path in sorted(self.free))
        return "\n".join([*lines, f"local FREE_BODIES = {{ {free} }}"])


def texts(services: Iterable[Service], descriptors: descriptor_pb2.FileDescriptorSet) -> Texts:
    """What the request bodies of `services` hold. A name that is a text in one body and a number or boolean in another
    one is left out: there the transcoder decides."""
    messages = dict(_messages(descriptors))
    found, others, seen = Texts(), set[str](), set[str]()
    waiting = []
    for kind, template in _bodies(services, descriptors, messages):
        if kind == _STRUCT:
            found.free.add(template.partition("{")[0])
        else:
            waiting.append(kind)
    while waiting:
        kind = waiting.pop()
        if kind not in seen and not kind.startswith(_LIBRARY):
            seen.add(kind)
            for member in messages[kind].field:
                waiting += _sort(member, messages, found, others)
    found.texts.difference_update(others, found.opaque)
    return found


def _sort(member: _Field, messages: Mapping[str, _Message], found: Texts, others: set[str]) -> list[str]:
    """Put the name of a member where it belongs; returns the messages to look into for it."""
    if member.type == _Field.TYPE_STRING:
        found.texts.add(member.name)
    elif member.type != _Field.TYPE_MESSAGE:
        others.add(member.name)
    elif member.type_name == _STRUCT:
        found.opaque.add(member.name)
    elif member.type_name in messages and messages[member.type_name].options.map_entry:
        if messages[member.type_name].field[1].type == _Field.TYPE_STRING:
            found.maps.add(member.name)
    else:
        return [member.type_name]
    return []


def _bodies(
    services: Iterable[Service], descriptors: descriptor_pb2.FileDescriptorSet, messages: Mapping[str, _Message]
) -> Iterator[tuple[str, str]]:
    """The message and the path of each request body."""
    inputs = {
        f"/{file.package}.{service.name}/{method.name}": method.input_type
        for file in descriptors.file
        for service in file.service
        for method in service.method
    }
    for service in services:
        for method in service.methods:
            for binding in method.bindings:
                kind = inputs[method.path]
                if binding.body not in ("", "*"):
                    kind = next(one for one in messages[kind].field if one.name == binding.body).type_name
                if binding.body:
                    yield kind, binding.template


def _messages(descriptors: descriptor_pb2.FileDescriptorSet) -> Iterator[tuple[str, _Message]]:
    def nested(prefix: str, message: _Message) -> Iterator[tuple[str, _Message]]:
        name = f"{prefix}.{message.name}"
        yield name, message
        for inner in message.nested_type:
            yield from nested(name, inner)

    for file in descriptors.file:
        for message in file.message_type:
            yield from nested(f".{file.package}", message)
