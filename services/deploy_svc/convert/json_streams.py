"""Answers made of many JSON documents: one list, or one document per message."""

import json
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

from google.api.httpbody_pb2 import HttpBody

T = TypeVar("T")

JSON = "application/json"
# Bytes per message: a long answer leaves in pieces that fit any message limit on the way.
_PIECE = 256 * 1024

KEEP_ALIVE = HttpBody(content_type=JSON, data=b"\n")


def listing(documents: Iterable[dict[str, Any]]) -> Iterator[HttpBody]:
    """`{"logs": [...]}`, in one message unless it is long."""
    piece = bytearray(b'{"logs":[')
    for index, document in enumerate(documents):
        piece += (b"," if index else b"") + dump(document)
        if len(piece) > _PIECE:
            yield HttpBody(content_type=JSON, data=bytes(piece))
            piece.clear()
    yield HttpBody(content_type=JSON, data=bytes(piece + b"]}"))


async def following(
    batches: AsyncIterator[Sequence[T]], document: Callable[[T], dict[str, Any]]
) -> AsyncIterator[HttpBody]:
    """Each document as one message, hence one HTTP chunk; a blank line for an empty batch."""
    async for batch in batches:
        for item in batch:
            yield HttpBody(content_type=JSON, data=dump(document(item)) + b"\n")
        if not batch:
            yield KEEP_ALIVE


def body(value: object) -> HttpBody:
    """A whole answer."""
    return HttpBody(content_type=JSON, data=dump(value))


def dump(value: object) -> bytes:
    """Compact JSON."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
