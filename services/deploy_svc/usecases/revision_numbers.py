"""Which revision a request means."""

from collections.abc import Sequence

from services.kernel.errors import ValidationFailed


def wanted(number: int | None) -> int:
    """The number that was given. Raises ValidationFailed without one."""
    if number is None:
        raise ValidationFailed({"revision": "Revision can't be nil: give the number of one that is kept"})
    return number


def not_kept(number: int, kept: Sequence[int]) -> ValidationFailed:
    """The error about a revision that nobody can go back to."""
    known = ", ".join(map(str, kept)) or "none"
    return ValidationFailed({"revision": f"Revision {number} is not kept; kept are {known}"})
