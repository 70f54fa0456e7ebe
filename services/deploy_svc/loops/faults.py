"""Tells faults that pass by themselves from those that do not."""

from services.kernel.database_errors import sqlstate, translate_database_error
from services.kernel.errors import DomainError

# Class 40 of SQLSTATE, transaction rollback: deadlocks and serialization failures. Others go on, this one tries again.
_ROLLED_BACK = "40"


def passes(error: Exception) -> bool:
    """Whether the cause lies outside and trying again helps: no database, no nodes known yet, a deadlock."""
    return isinstance(error, DomainError | TimeoutError) or translate_database_error(error) is not None


def is_rolled_back(error: Exception) -> bool:
    """Whether Postgres gave this transaction up so that others could go on."""
    return sqlstate(error).startswith(_ROLLED_BACK)
