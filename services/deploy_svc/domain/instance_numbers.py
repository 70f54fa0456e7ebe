"""Numbers of the instances of a service. Pure."""

from collections.abc import Collection
from itertools import count, islice


def filled(kept: Collection[int], total: int) -> list[int]:
    """So many instance numbers in their order: those that are kept, and the lowest ones that are free."""
    free = (number for number in count(1) if number not in kept)
    return sorted({*kept, *islice(free, max(0, total - len(kept)))})[:total]
