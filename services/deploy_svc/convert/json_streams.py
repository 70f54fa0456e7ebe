"""Answers made of many JSON documents: one list, or one document per message."""

import json
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from typing import Any

from google.api.httpbody_pb2 import HttpBody

JSON = "application/json"
# Lines that end: no document as a whole, unlike what a client of `follow` on logs has always been told.
NDJSON = "application/x-ndjson"
# Bytes per message: a long answer leaves in pieces that fit any message limit on the way.
_PIECE = 256 * 1024


def listing(documents: Iterable[dict[str, Any]]) -> Iterator[HttpBody]:
    """`{"logs": [...]}`, in one message unless it is long."""
    piece = bytearray(b'{"logs":[')
    for index, document in enumerate(documents):
        piece += (b"," if index else b"") + dump(document)
        if len(piece) > _PIECE:
            yield HttpBody(content_type=JSON, data=bytes(piece))
            piece.clear()
    yield HttpBody(content_type=JSON, data=bytes(piece + b"]}"))


async def following(batches: AsyncIterator[Sequence[bytes]], kind: str = JSON) -> AsyncIterator[HttpBody]:
    """Each line as one message, hence one HTTP chunk; a blank line for an empty batch."""
    async for batch in batches:
        for item in batch:
            yield HttpBody(content_type=kind, data=item)
        if not batch:
            yield HttpBody(content_type=kind, data=b"\n")


def line(value: object) -> bytes:
    """Compact JSON with a newline."""
    return dump(value) + b"\n"


def body(value: object) -> HttpBody:
    """A whole answer."""
    return HttpBody(content_type=JSON, data=dump(value))


def dump(value: object) -> bytes:
    """Compact JSON."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
