"""Items are cut into batches: none is lost, and none of the batches is much larger than the limit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.deploy_svc.domain import batch as sizes
from services.deploy_svc.domain.batch import NOTHING, batches

_MOST = 8


@given(st.lists(st.binary(min_size=1, max_size=12), max_size=20))
def test_batches_are_bounded_and_hold_everything(items: list[bytes]) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sizes, "MOST_BYTES", _MOST)
        found = batches(enumerate(items, 1))
    assert [data for batch in found for _, data in batch.entries] == items
    for batch in found:
        assert batch.joined == b"".join(data for _, data in batch.entries)
        assert batch.size == len(batch.joined)
        assert batch.size - len(batch.entries[-1][1]) < _MOST
    assert [batch.last for batch in found] == sorted(batch.last for batch in found)


def test_nothing_new_has_no_bytes() -> None:
    assert (NOTHING.joined, NOTHING.size) == (b"", 0)
