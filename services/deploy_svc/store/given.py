"""Values that a statement is given as rows: it is the same statement however many there are, so it is compiled once."""

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY


def given(name: str, columns: Iterable[sa.ColumnElement[Any]], rows: Iterable[tuple[Any, ...]]) -> sa.TableValuedAlias:
    """A table of the `rows`, to be joined; its columns have names and types of `columns`."""
    shaped = [sa.column(str(column.key), column.type) for column in columns]
    values = list(rows)
    arrays = [sa.cast([row[index] for row in values], ARRAY(column.type)) for index, column in enumerate(shaped)]
    return sa.func.unnest(*arrays).table_valued(*shaped, name=name).render_derived()


def given_later(name: str, *columns: sa.ColumnElement[Any]) -> sa.TableValuedAlias:
    """As `given`, in a prepared statement, which gets its rows when it runs: see `arrays`."""
    shaped = [sa.column(str(column.key), column.type) for column in columns]
    unnested = sa.func.unnest(*(sa.bindparam(f"all_{column.name}", type_=ARRAY(column.type)) for column in shaped))
    return unnested.table_valued(*shaped, name=name).render_derived()


def arrays(rows: Iterable[tuple[Any, ...]], *columns: sa.ColumnElement[Any]) -> dict[str, list[Any]]:
    """The values for the columns of `given_later`, in their order."""
    values = list(rows)
    return {f"all_{column.key}": [row[index] for row in values] for index, column in enumerate(columns)}


def of_any(column: sa.ColumnElement[Any], values: Iterable[Any]) -> sa.ColumnElement[bool]:
    """Whether a column has one of the values."""
    return column == sa.func.any(sa.cast(list(values), ARRAY(column.type)))
