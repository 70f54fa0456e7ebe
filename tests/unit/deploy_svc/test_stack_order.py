import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.deploy_svc.domain.stack_order import BadLink, ordered


def test_each_service_follows_what_it_links_to() -> None:
    assert ordered({"web": ["api"], "api": ["db"], "db": [], "log": []}) == ["db", "log", "api", "web"]


@pytest.mark.parametrize(
    ("links", "service", "words"),
    [
        ({"a": ["b"], "b": ["x"]}, "b", "service b has missing links: x;"),
        ({"a": ["a"]}, "a", "a -> a"),
        ({"z": ["a"], "a": ["b"], "b": ["a"]}, "a", "a -> b -> a"),
        ({"a": ["b", "c"], "b": [], "c": ["d"], "d": ["a"]}, "a", "a -> c -> d -> a"),
    ],
)
def test_the_first_offender_is_named(links: dict[str, list[str]], service: str, words: str) -> None:
    with pytest.raises(BadLink, match=words) as caught:
        ordered(links)
    assert caught.value.service == service


@given(st.dictionaries(st.integers(0, 12), st.lists(st.integers(0, 12), max_size=4), min_size=1))
def test_an_order_is_found_or_a_circle_is_there(raw: dict[int, list[int]]) -> None:
    links = {str(key): [str(target) for target in targets if target in raw] for key, targets in raw.items()}
    if circular := [name for name in links if _reaches(links, name, name)]:
        with pytest.raises(BadLink) as caught:
            ordered(links)
        assert caught.value.service == circular[0]
        return
    order = ordered(links)
    assert sorted(order) == sorted(links)
    places = {name: place for place, name in enumerate(order)}
    assert all(places[target] < places[name] for name, targets in links.items() for target in targets)


def _reaches(links: dict[str, list[str]], start: str, goal: str) -> bool:
    seen, todo = set[str](), [start]
    while todo:
        for target in links[todo.pop()]:
            if target == goal:
                return True
            if target not in seen:
                seen.add(target)
                todo.append(target)
    return False
