from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from services.vault_svc.domain.departure import Plan, plan

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MARGIN = timedelta(minutes=15)
grids = st.frozensets(st.sampled_from("abcdef"))
clocks = st.dictionaries(st.sampled_from("abcdef"), st.datetimes(timezones=st.just(UTC)))


def test_an_unknown_grid_is_noticed_then_due() -> None:
    first = plan({"a", "b"}, {"b"}, {}, NOW, MARGIN)
    assert first == Plan(notice=frozenset("a"), forget=frozenset(), due=frozenset())
    early = plan({"a", "b"}, {"b"}, {"a": NOW}, NOW + MARGIN - timedelta(seconds=1), MARGIN)
    assert early == Plan(notice=frozenset(), forget=frozenset(), due=frozenset())
    late = plan({"a", "b"}, {"b"}, {"a": NOW}, NOW + MARGIN, MARGIN)
    assert late == Plan(notice=frozenset(), forget=frozenset(), due=frozenset("a"))


def test_a_grid_that_is_back_starts_over() -> None:
    back = plan({"a"}, {"a"}, {"a": NOW}, NOW + MARGIN, MARGIN)
    assert back == Plan(notice=frozenset(), forget=frozenset("a"), due=frozenset())


@given(grids, grids, clocks)
def test_nothing_of_a_known_grid_is_ever_due(
    stored: frozenset[str], known: frozenset[str], noticed: dict[str, datetime]
) -> None:
    found = plan(stored, known, noticed, NOW, MARGIN)
    assert not found.due & known
    assert found.due <= stored & noticed.keys()
    assert not found.notice & noticed.keys()
    assert (noticed.keys() | found.notice) - found.forget == stored - known
