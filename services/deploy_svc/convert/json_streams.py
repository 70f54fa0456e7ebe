"""Answers made of many JSON documents: one list, or one document per message."""

import json
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from typing import Any

from google.api.httpbody_pb2 import HttpBody

from services.deploy_svc.domain.batch import Batch

JSON = "application/json"
# Lines that end: no document as a whole, unlike what a client of `follow` on logs has always been told.
NDJSON = "application/x-ndjson"
_BLANK = b"\n"
# Bytes per message: a long answer leaves in pieces that fit any message limit on the way.
_PIECE = 256 * 1024


def listing(documents: Iterable[dict[str, Any]], beside: Mapping[str, Any] | None = None) -> Iterator[HttpBody]:
    """`{"logs": [...]}` with the members `beside` it, in one message unless it is long."""
    piece = bytearray(b'{"logs":[')
    for index, document in enumerate(documents):
        piece += (b"," if index else b"") + dump(document)
        if len(piece) > _PIECE:
            yield HttpBody(content_type=JSON, data=bytes(piece))
            piece.clear()
    rest = b"".join(b"," + dump(name) + b":" + dump(value) for name, value in (beside or {}).items())
    yield HttpBody(content_type=JSON, data=bytes(piece + b"]" + rest + b"}"))


async def following(batches: AsyncIterator[Sequence[bytes]], kind: str = JSON) -> AsyncIterator[HttpBody]:
    """Each line as one message, hence one HTTP chunk; a blank line for an empty batch."""
    async for batch in batches:
        for item in batch or (_BLANK,):
            yield HttpBody(content_type=kind, data=item)


async def followed(batches: AsyncIterator[Batch], *, together: bool) -> AsyncIterator[HttpBody]:
    """The same of what many follow. `together`: each batch as one message, of what says that it is lines."""
    async for batch in batches:
        if together:
            yield HttpBody(content_type=NDJSON, data=batch.joined or _BLANK)
            continue
        for item in [data for _, data in batch.entries] or (_BLANK,):
            yield HttpBody(content_type=JSON, data=item)


def line(value: object) -> bytes:
    """Compact JSON with a newline."""
    return dump(value) + b"\n"


def body(value: object) -> HttpBody:
    """A whole answer."""
    return HttpBody(content_type=JSON, data=dump(value))


def dump(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
