"""Items that several follow, as clients get them."""

from collections.abc import Iterable, Sequence
from functools import cached_property

# The id of an item, which grows in the order of arrival, and the item as clients get it.
Entry = tuple[int, bytes]

# A client that is slow is sent no more than this, and one item beyond, at a time.
MOST_BYTES = 64 * 1024


class Batch:
    """Items in the order of arrival; all that follow the same share it. One without items says that there is nothing
    new."""

    def __init__(self, entries: Sequence[Entry] = ()) -> None:
        self.entries = entries

    @property
    def last(self) -> int:
        """The id of the last item."""
        return self.entries[-1][0]

    @cached_property
    def size(self) -> int:
        """Bytes of its items."""
        return sum(len(data) for _, data in self.entries)

    @cached_property
    def joined(self) -> bytes:
        """Its items in one piece, which is made once for all that take it."""
        return b"".join([data for _, data in self.entries])


NOTHING = Batch()


def batches(entries: Iterable[Entry]) -> list[Batch]:
    """The entries in as many batches as there have to be."""
    found: list[Batch] = []
    begun: list[Entry] = []
    size = 0
    for entry in entries:
        begun.append(entry)
        size += len(entry[1])
        if size >= MOST_BYTES:
            found.append(Batch(begun))
            begun, size = [], 0
    return [*found, Batch(begun)] if begun else found
