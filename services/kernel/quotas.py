"""The most there may be of something: what the settings say, in the words of whoever meets the limit."""

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from pydantic import BaseModel

from services.kernel.errors import ValidationFailed

# What a grid has is measured again after so long, and at once when it uses this much of a quota: measuring reads all of
# it.
_GOOD_SECONDS, _FAR = 10.0, 0.5

# How much there is, by quota.
Counts = Mapping[str, int]


class QuotaExceeded(ValidationFailed):
    """There would be more than a quota allows."""

    reason = "QUOTA_EXCEEDED"


class Quotas(BaseModel):
    """The quotas of a service, by the name of their settings; each has the description of what it counts. Many requests
    at the same moment may pass one by as many as they are."""

    def check(self, attribute: str, counted: Counts) -> None:
        """Raise QuotaExceeded for `attribute` of the request (`name`, `services.web.name`) if there would be more of
        anything than its quota."""
        for name, count in counted.items():
            if count > getattr(self, name):
                *around, last = attribute.split(".")
                errors: dict[str, Any] = {last: self.text(name)}
                for each in reversed(around):
                    errors = {each: errors}
                raise QuotaExceeded(errors)

    def text(self, name: str) -> str:
        """What is told to whoever meets the quota: what is counted, how many there may be, how that changes."""
        what = type(self).model_fields[name].description
        return (
            f"There may be {getattr(self, name)} {what}. Remove some, or ask an operator for more: "
            f"the setting is {name.upper()}"
        )


class Measured:
    """Knows about what each grid has. Far below the quotas nothing is asked of the database for most requests, so
    replicas together may pass one by what they add within ten seconds from there."""

    def __init__(self, quotas: Quotas) -> None:
        self._quotas = quotas
        self._known: dict[str, tuple[Counts, float]] = {}

    async def add(self, grid_id: str, attribute: str, more: Counts, measure: Callable[[], Awaitable[Counts]]) -> None:
        """Before there is so much more in a grid; `measure` says how much there is. Raises QuotaExceeded."""
        (counts, at), now = self._known.get(grid_id, ({}, 0.0)), time.monotonic()
        if not counts or now > at + _GOOD_SECONDS or not self._far(_sum(counts, more)):
            counts, at = await measure(), now
        grown = _sum(counts, more)
        self._quotas.check(attribute, grown)
        self._known[grid_id] = ({**counts, **grown}, at)

    def _far(self, counts: Counts) -> bool:
        return all(count < _FAR * getattr(self._quotas, name) for name, count in counts.items())


def _sum(counts: Counts, more: Counts) -> dict[str, int]:
    """What grows."""
    return {name: counts[name] + added for name, added in more.items()}
