from collections.abc import Iterator
from pathlib import Path

from google.protobuf import descriptor_pb2

from gateway import catalog
from tests.support.lists import OTHERWISE, PAGED

SET = descriptor_pb2.FileDescriptorSet.FromString(
    (Path(__file__).parents[3] / "gen" / "descriptors.binpb").read_bytes()
)
MESSAGES = {f".{file.package}.{message.name}": message for file in SET.file for message in file.message_type}
REPEATED = descriptor_pb2.FieldDescriptorProto.LABEL_REPEATED


def _fields(message: str) -> dict[str, descriptor_pb2.FieldDescriptorProto]:
    return {field.name: field for field in MESSAGES[message].field} if message in MESSAGES else {}


def _reads() -> Iterator[tuple[str, descriptor_pb2.MethodDescriptorProto]]:
    """The public RPCs that read, by `Service/Method`."""
    known = {method.path: method for service in catalog.services(SET) if service.public for method in service.methods}
    for file in SET.file:
        for service in file.service:
            for method in service.method:
                found = known.get(f"/{file.package}.{service.name}/{method.name}")
                if found is not None and found.is_read:
                    yield f"{service.name}/{method.name}", method


def _is_list(method: descriptor_pb2.MethodDescriptorProto) -> bool:
    fields = [field for name, field in _fields(method.output_type).items() if name != "next"]
    items = [field for field in fields if field.label == REPEATED and field.type_name.startswith(".kontena.")]
    only_items = len(fields) == len(items) == 1 and not items[0].type_name.endswith("Entry")
    return method.name.startswith("List") or only_items


def test_every_list_says_how_to_get_it_in_parts() -> None:
    assert {name for name, method in _reads() if _is_list(method)} == PAGED.keys() | OTHERWISE.keys()


def test_lists_in_parts_take_limit_and_from_and_answer_with_next() -> None:
    for name, method in _reads():
        asked, answered = _fields(method.input_type), _fields(method.output_type)
        if name in PAGED:
            assert asked["limit"].proto3_optional, name
            assert "from" in asked, name
            assert answered["next"].proto3_optional, name
            assert answered[PAGED[name].members].label == REPEATED, name
        elif name in OTHERWISE:
            assert "limit" in asked, name
