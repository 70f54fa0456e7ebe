"""Pauses before trying again. Chance is a parameter: `chance` is between 0 and 1."""

_WELL_SECONDS = 10.0
# A call that lasted so long was well.
_STABLE_SECONDS = 10.0
_SENT_ELSEWHERE = "SERVER_STOPPING"

_LONGEST_CRASH_PAUSE = 30
_LONGEST_RECONNECT = 15.0
_LONGEST_REFUSED = 60.0


def crash_delay(crashes: int) -> float:
    """Seconds before a crashed container starts again: 0, 1, 4, 9, 16, 25, 30, 30 … (section 8.8)."""
    return float(min(crashes * crashes, _LONGEST_CRASH_PAUSE))


class Setbacks:
    """Counts what befell one start of a container after another; `row` is how many there were in a row."""

    def __init__(self) -> None:
        self.row = 0
        self._last: object = None

    def is_new(self, start: object) -> bool:
        """Whether this start was not taken note of yet; now it is."""
        last, self._last = self._last, start
        return last != start

    def pause(self, well_for: float) -> float:
        """Count one; seconds before the next start. The row begins again when all was well for long enough."""
        if well_for > _WELL_SECONDS:
            self.row = 0
        self.row += 1
        return crash_delay(self.row - 1)


def retry_delay(failures: int) -> float:
    """Seconds before a failed apply is tried again: 1, 2, 4, 8, 16, 30, 30 …"""
    return min(_doubled(max(failures - 1, 0)), 30.0)


def next_attempt(attempt: int, lasted: float, reason: str) -> int:
    """The number of the next attempt to reach the master after one that ended like this: 1 when nothing is wrong, as
    with a replica that stops and sends its agents to another one, however many do so in a row."""
    return 1 if lasted > _STABLE_SECONDS or reason == _SENT_ELSEWHERE else attempt + 1


def reconnect_delay(attempt: int, chance: float) -> float:
    """Seconds before attempt `attempt` (from 1) to reach the master: the first is quick, none waits over 15 s."""
    if attempt <= 1:
        return 0.2 + 0.3 * chance
    ceiling = min(_LONGEST_RECONNECT, 0.5 * _doubled(attempt))
    return ceiling * (0.3 + 0.7 * chance)


def refused_delay(attempt: int, chance: float) -> float:
    """As `reconnect_delay`, when the master refused this agent: somebody has to act, so 2 s growing to 60 s."""
    return min(_LONGEST_REFUSED, _doubled(attempt)) * (0.7 + 0.3 * chance)


def superseded_delay(chance: float) -> float:
    """When another agent has this one's place: it may be for ever, and the log says so, so 3 to 5 minutes."""
    return 180.0 + 120.0 * chance


def _doubled(times: int) -> float:
    return float(1 << min(times, 10))
