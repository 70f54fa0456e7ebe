"""When the data of a deleted grid goes away.

A grid that has data here but is unknown to grid_svc is only noticed at first. Its data is due for removal when it
stayed unknown for a while, so that neither a grid seen late nor a grid_svc that briefly has the wrong database costs
secrets.
"""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Plan:
    """Grids by id: newly unknown, known again (or without data), and unknown for long enough to be removed."""

    notice: frozenset[str]
    forget: frozenset[str]
    due: frozenset[str]


def plan(
    stored: AbstractSet[str], known: AbstractSet[str], noticed: Mapping[str, datetime], now: datetime, margin: timedelta
) -> Plan:
    """Decide from the grids that have data, those that exist, and when each departed one was noticed."""
    departed = stored - known
    return Plan(
        notice=frozenset(departed - noticed.keys()),
        forget=frozenset(noticed.keys() - departed),
        due=frozenset(grid for grid in departed & noticed.keys() if noticed[grid] + margin <= now),
    )
