"""When a failed renewal is tried again."""

from datetime import timedelta

_FIRST = timedelta(hours=1)
_LONGEST = timedelta(hours=24)
_MOST_DOUBLINGS = 5


def pause(failures: int, chance: float) -> timedelta:
    """An hour, doubling with each failure before this one to a day, and up to a tenth more by `chance` (0 to 1)."""
    doublings = min(max(failures, 0), _MOST_DOUBLINGS)
    wait = min(_LONGEST, _FIRST * (1 << doublings))
    return wait * (1 + 0.1 * chance)
