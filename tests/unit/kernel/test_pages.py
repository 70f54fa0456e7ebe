import base64
import json
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa

from services.kernel import pages
from services.kernel.db import timestamp
from services.kernel.errors import ValidationFailed
from services.kernel.pages import Page

TABLE = sa.Table(
    "things",
    sa.MetaData(),
    sa.Column("number", sa.Integer),
    sa.Column("seq", sa.BigInteger),
    sa.Column("name", sa.Text),
    sa.Column("created_at", timestamp()),
)


async def _read(wanted: Page, column: str, rows: Any = ()) -> pages.Listing[Any]:
    async def execute(query: Any) -> Any:
        return rows

    tx: Any = SimpleNamespace(execute=execute)
    return await pages.read(tx, sa.select(TABLE), {column: TABLE.c[column]}, wanted, lambda row: row)


def _encoded(values: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(values).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("number", ["1"]),
        ("number", [2**31]),
        ("number", [True]),
        ("number", [1.5]),
        ("number", [None]),
        ("number", []),
        ("number", [1, 2]),
        ("number", 1),
        ("number", {"number": 1}),
        ("seq", [2**63]),
        ("name", [1]),
        ("name", ["\ud800"]),
        ("created_at", ["now"]),
        ("created_at", [1]),
        ("created_at", ["2017-01-01T00:00:00"]),
    ],
)
async def test_a_place_that_the_list_did_not_name_is_refused(column: str, values: Any) -> None:
    with pytest.raises(ValidationFailed) as refused:
        await _read(Page(1, _encoded(values)), column)
    assert refused.value.body()["error"].keys() == {"from"}


@pytest.mark.parametrize("place", ["x", "é", "=", "\x00", "W10", "////", "a" * 5000])
async def test_a_place_that_is_none_is_refused(place: str) -> None:
    with pytest.raises(ValidationFailed):
        await _read(Page(1, place), "name")


async def test_a_place_that_a_list_named_is_taken() -> None:
    rows = [SimpleNamespace(name=name) for name in ("a", 'é"', "c")]
    found = await _read(Page(2), "name", rows)
    assert (list(found), found.next is not None) == (rows[:2], True)
    assert list(await _read(Page(2, found.next or ""), "name", rows[2:])) == rows[2:]
