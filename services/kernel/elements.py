"""Counts the elements of an encoded message, so that a small one cannot become a big one in memory.

Two bytes make an empty element, which takes a hundred bytes once it is decoded and more when our code has looked at it.
Counting ends at the limit, so that it costs some hundredths of a second at most.
"""

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from services.kernel.errors import InvalidRequest

# Fields and list elements of one message, nested ones included.
MOST_ELEMENTS = 50_000
_TOO_MANY = f"The request has more than {MOST_ELEMENTS} elements"
_DEEPEST = 100
_INVALID = "Invalid request"
_VARINT, _FIXED_64, _LENGTH, _FIXED_32 = 0, 1, 2, 5
_PACKABLE = frozenset(range(1, 19)) - {
    FieldDescriptor.TYPE_STRING,
    FieldDescriptor.TYPE_BYTES,
    FieldDescriptor.TYPE_MESSAGE,
    FieldDescriptor.TYPE_GROUP,
}


def count(message: Descriptor, raw: bytes) -> int:
    """How many elements an encoded `message` has. Raises InvalidRequest for more than MOST_ELEMENTS, and for bytes
    that are none."""
    found = 0
    # Pieces that are still to be looked at: what message, from where to where, how deep.
    open_: list[tuple[Descriptor, int, int, int]] = [(message, 0, len(raw), 0)]
    while open_:
        kind, position, end, depth = open_.pop()
        fields = kind.fields_by_number
        while position < end:
            found += 1
            if found > MOST_ELEMENTS or depth > _DEEPEST:
                raise InvalidRequest(_TOO_MANY)
            key, position = _varint(raw, position, end)
            wire = key & 7
            if wire == _LENGTH:
                size, position = _varint(raw, position, end)
                field = fields.get(key >> 3)
                if field is not None and field.message_type is not None:
                    open_.append((field.message_type, position, min(end, position + size), depth + 1))
                elif field is not None and field.type in _PACKABLE:
                    found += min(size, end - position)
                position += size
            elif wire == _VARINT:
                _, position = _varint(raw, position, end)
            elif wire in (_FIXED_32, _FIXED_64):
                position += 4 if wire == _FIXED_32 else 8
            else:
                raise InvalidRequest(_INVALID)
    return found


def _varint(raw: bytes, position: int, end: int) -> tuple[int, int]:
    value = shift = 0
    while position < end and shift < 64:
        byte = raw[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
    raise InvalidRequest(_INVALID)
