"""How the room for logs is shared between grids."""

from collections.abc import Iterable


def most_of_one(used: Iterable[int], quota: int, total: int) -> int:
    """The most bytes that one grid may have: its quota, and less when all together have more than `total`. Then those
    with the most give until the rest fits; who has less than an equal share keeps all of it."""
    left, sizes = total, sorted(min(size, quota) for size in used)
    for others, size in zip(range(len(sizes), 0, -1), sizes, strict=True):
        share = left // others
        if size > share:
            return share
        left -= size
    return quota
