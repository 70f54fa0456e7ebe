"""The most there may be of something: what the settings say, in the words of whoever meets the limit."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from services.kernel.errors import ValidationFailed


class QuotaExceeded(ValidationFailed):
    """There would be more than a quota allows."""

    reason = "QUOTA_EXCEEDED"


class Quotas(BaseModel):
    """The quotas of a service, by the name of their settings; each has the description of what it counts. Many requests
    at the same moment may pass one by as many as they are."""

    def check(self, attribute: str, counted: Mapping[str, int]) -> None:
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
