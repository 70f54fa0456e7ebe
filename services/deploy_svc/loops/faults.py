"""Tells faults that pass by themselves from those that do not."""

from services.kernel.database_errors import translate_database_error
from services.kernel.errors import DomainError

# Class 40 of SQLSTATE, transaction rollback: deadlocks and serialization failures. Others go on, this one tries again.
_ROLLED_BACK = "40"


def passes(error: BaseException) -> bool:
    """Whether the cause lies outside and trying again helps: no database, no nodes known yet, a deadlock."""
    if isinstance(error, DomainError | TimeoutError):
        return True
    return isinstance(error, Exception) and (translate_database_error(error) is not None or is_rolled_back(error))


def is_rolled_back(error: BaseException) -> bool:
    """Whether Postgres gave this transaction up so that others could go on; the driver's error may be wrapped."""
    cause: BaseException | None = error
    while cause is not None:
        if str(getattr(cause, "sqlstate", None) or "").startswith(_ROLLED_BACK):
            return True
        cause = getattr(cause, "orig", None) or cause.__cause__
    return False
