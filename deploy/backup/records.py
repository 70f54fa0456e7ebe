"""What the stream of a backup consists of: records, each a kind, a length and its content.

manifest, then for each table: its head, its rows as blocks of COPY in text form, ..., then the end
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from deploy.backup.sealed_file import SealedWriter, Unreadable

_MANIFEST, _TABLE, _ROWS, _END = b"M", b"T", b"R", b"E"
_SIZE = 4


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup is of. `revisions` are those of the schemas by service, `keys` the secret settings by variable."""

    release: str
    made_at: str
    revisions: dict[str, str]
    keys: dict[str, str] = field(repr=False)
    history: bool = True


@dataclass(frozen=True, slots=True)
class Table:
    """A table of a service. `identities` are the last values of its counters by column, null for one never used."""

    service: str
    name: str
    columns: list[str]
    identities: dict[str, int | None] = field(default_factory=dict)

    @property
    def full_name(self) -> str:
        """With its schema."""
        return f"{self.service}.{self.name}"


@dataclass(frozen=True, slots=True)
class End:
    """Nothing is missing: rows by table."""

    rows: dict[str, int]


class RecordWriter:
    """Writes records in the order in which they are read."""

    def __init__(self, out: SealedWriter) -> None:
        self._out = out

    def manifest(self, manifest: Manifest) -> None:
        """The first record."""
        self._json(_MANIFEST, manifest)

    def table(self, table: Table) -> None:
        """What comes until the next one are its rows."""
        self._json(_TABLE, table)

    async def rows(self, data: bytes) -> None:
        """A block of COPY, as asyncpg hands it out."""
        self._record(_ROWS, data)

    def end(self, end: End) -> None:
        """The last record."""
        self._json(_END, end)

    def _json(self, kind: bytes, content: Any) -> None:
        self._record(kind, json.dumps(asdict(content)).encode())

    def _record(self, kind: bytes, content: bytes) -> None:
        self._out.write(kind + len(content).to_bytes(_SIZE, "big") + content)


Record = Manifest | Table | bytes | End


def records(stream: Iterable[bytes]) -> Iterator[Record]:
    """What was written; bytes are rows. Raises Unreadable for a stream that is none of ours, or ends too early."""
    waiting = bytearray()
    ended = False
    for piece in stream:
        waiting += piece
        while (complete := _complete(waiting)) is not None:
            record = _parsed(bytes(waiting[:1]), bytes(waiting[1 + _SIZE : complete]))
            del waiting[:complete]
            ended = isinstance(record, End)
            yield record
    if waiting or not ended:
        raise Unreadable("the backup is not complete")


def _complete(waiting: bytearray) -> int | None:
    """Length of the first record when all of it is there."""
    if len(waiting) < 1 + _SIZE:
        return None
    length = 1 + _SIZE + int.from_bytes(waiting[1 : 1 + _SIZE], "big")
    return length if len(waiting) >= length else None


def _parsed(kind: bytes, content: bytes) -> Record:
    match kind:
        case b"R":
            return content
        case b"M":
            return Manifest(**json.loads(content))
        case b"T":
            return Table(**json.loads(content))
        case b"E":
            return End(**json.loads(content))
    raise Unreadable("the backup holds something that this release does not know")
