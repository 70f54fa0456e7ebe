from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from services.kernel.informer import Delete, Synced, Upsert
from services.kernel.watch import differences

_STATES = st.dictionaries(st.sampled_from("abcd"), st.integers(1, 2))


@dataclass(frozen=True)
class Thing:
    id: str
    size: int


def records(state: dict[str, int]) -> dict[str, Thing]:
    return {key: Thing(key, size) for key, size in state.items()}


@given(_STATES, _STATES, st.booleans())
def test_a_follower_ends_up_with_what_was_found(before: dict[str, int], after: dict[str, int], again: bool) -> None:
    sent, mirror = records(before), records(before)
    events = differences(sent, records(after), None, again=again)
    for event in events:
        match event:
            case Upsert(key, record):
                mirror[key] = record
            case Delete(key):
                del mirror[key]
    assert mirror == sent == records(after)
    assert (events[-1:] == [Synced()]) is again
    assert again or len(events) == sum(before.get(key) != after.get(key) for key in {*before, *after})


@given(_STATES, _STATES, st.sets(st.sampled_from("abcd")))
def test_only_what_was_asked_for_changes(before: dict[str, int], after: dict[str, int], asked: set[str]) -> None:
    sent = records(before)
    found = {key: record for key, record in records(after).items() if key in asked}
    differences(sent, found, asked, again=False)
    assert {key: sent.get(key) for key in "abcd"} == {
        key: records(after if key in asked else before).get(key) for key in "abcd"
    }
