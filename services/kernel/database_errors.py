"""Which errors of Postgres mean "not now": the request was fine, and the same one may succeed later."""

from collections.abc import Iterator
from typing import Any

import asyncpg
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from services.kernel.errors import DomainError, Unavailable

_AGAIN = "Try again in a moment."
_NO_ANSWER = f"The database does not answer. {_AGAIN}"

# By SQLSTATE, or by its class, the first two characters (PostgreSQL manual, appendix A).
_NOT_NOW = {
    "08": _NO_ANSWER,  # Connections that break or are refused.
    "53": f"The database has no more connections or memory. {_AGAIN}",
    "53100": f"The disk of the database is full. {_AGAIN}",
    "58": f"The database cannot use its files. {_AGAIN}",
    "57": _NO_ANSWER,  # It starts, stops or recovers, or somebody ended the connection.
    "57014": f"The database took too long. {_AGAIN}",
    "25P03": f"The database took too long. {_AGAIN}",
    "25P04": f"The database took too long. {_AGAIN}",
    "55P03": f"Others are changing this at the moment. {_AGAIN}",
    "40": f"Others changed this at the same moment. {_AGAIN}",  # Deadlocks and serialization failures.
    "25006": f"The database takes no writes, as one that is no longer the primary. {_AGAIN}",
    # Migrations of this version have not run yet.
    "3D000": f"The database is not there yet. {_AGAIN}",
    "3F000": f"The tables of this service are not there yet. {_AGAIN}",
    "42P01": f"The tables of this service are not there yet. {_AGAIN}",
    "42703": f"The tables of this service are older than it. {_AGAIN}",
    # Operators change passwords while services run.
    "28": f"The database refuses this service. {_AGAIN}",
}


def translate_database_error(error: BaseException) -> DomainError | None:
    """Unavailable when the database cannot do its part now, with what is the matter; None for anything else."""
    state = sqlstate(error)
    message = _NOT_NOW.get(state) or _NOT_NOW.get(state[:2])
    if message is None and _connection_lost(error):
        message = _NO_ANSWER
    return Unavailable(message, reason="DATABASE_UNAVAILABLE") if message else None


def sqlstate(error: BaseException) -> str:
    """The code that Postgres gave an error, however often it was wrapped; empty when it gave none."""
    return next((found for cause in _causes(error) if (found := getattr(cause, "sqlstate", None))), "")


def moved_away(error: BaseException) -> bool:
    """Whether another server may be behind the address by now, so that connections of before are of no use."""
    return sqlstate(error) == "25006"


def _connection_lost(error: BaseException) -> bool:
    # asyncpg calls a value that does not fit its column an InterfaceError too; that one is a fault of ours.
    if any(isinstance(cause, asyncpg.DataError) for cause in _causes(error)):
        return False
    return isinstance(error, PoolTimeout | ConnectionError | InterfaceError | OperationalError) or (
        isinstance(error, DBAPIError) and error.connection_invalidated
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    """SQLAlchemy keeps the error of its driver in `orig`, which itself wraps that of asyncpg."""
    cause: Any = error
    while cause is not None:
        yield cause
        cause = getattr(cause, "orig", None) or cause.__cause__
