"""A dry run waits for lost nodes as a deploy does."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.deploy_svc.domain.scheduling.reasons import score
from services.deploy_svc.domain.scheduling.snapshot import Recorded
from services.deploy_svc.domain.stack_plan import place
from tests.support.cluster import make_nodes, make_service


@pytest.mark.parametrize(("lost", "patience", "expected"), [(5.0, 20.0, "n2"), (25.0, 20.0, "n1"), (25.0, 40.0, "n2")])
def test_a_node_that_was_lost_a_moment_ago_keeps_its_instance(lost: float, patience: float, expected: str) -> None:
    service = make_service(instances=1)
    one, two = make_nodes(2)
    home = replace(two.with_recorded(Recorded("s1", "stack/web", 1)), connected=False, offline_seconds=lost)
    (placement,) = place(service, [one, home], (), patience=patience).placements
    assert (placement.node, placement.current) == (expected, "n2")


def test_the_instances_of_a_daemon_keep_their_numbers() -> None:
    one, three = make_nodes(3)[::2]
    nodes = [one.with_recorded(Recorded("s1", "stack/web", 1)), three.with_recorded(Recorded("s1", "stack/web", 3))]
    placed = place(make_service(strategy="daemon"), nodes, ()).placements
    assert [(item.instance_number, item.node, item.current) for item in placed] == [(1, "n1", "n1"), (3, "n3", "n3")]


def test_a_lost_node_gets_nothing_new() -> None:
    one, two = make_nodes(2)
    placed = place(make_service(instances=2), [one, replace(two, connected=False, offline_seconds=5.0)], ())
    assert [item.node for item in placed.placements] == ["n1", "n1"]


def test_the_rules_that_led_to_a_node_are_told_with_their_weights() -> None:
    labels = {"n1": ("disk=hdd", "az=a"), "n2": ("disk=ssd", "az=a"), "n3": ("disk=ssd", "az=b")}
    nodes = [replace(node, labels=labels[node.id]) for node in make_nodes(3)]
    affinity = ("label!=disk=tape", "label==~disk=ssd", "node==~n1", "service!=~web")
    service = make_service(instances=2, affinity=affinity, spread="az", max_per_node=1)
    one, two = place(service, nodes, ()).placements
    assert (one.node, two.node) == ("n2", "n3")
    assert [(rule.kind, rule.rule, rule.met, rule.weight, rule.count) for rule in two.rules] == [
        ("hard", "label!=disk=tape", True, None, None),
        ("soft", "label==~disk=ssd", True, 4, None),
        ("soft", "node==~n1", False, 2, None),
        ("soft", "service!=~web", True, 1, None),
        ("limit", "max_per_node 1", True, None, 0),
        ("spread", "az=b", True, None, 0),
    ]
    assert (one.rules[-1].rule, one.rules[-1].count) == ("az=a", 0)
    assert score(two.rules) == 5


@given(
    labels=st.lists(st.sets(st.sampled_from("abcd")), min_size=1, max_size=6),
    rules=st.lists(st.tuples(st.sampled_from("abcd"), st.booleans()), max_size=5),
)
def test_no_node_scores_more_than_the_one_that_is_taken(labels: list[set[str]], rules: list[tuple[str, bool]]) -> None:
    nodes = [
        replace(node, labels=tuple(sorted(own))) for node, own in zip(make_nodes(len(labels)), labels, strict=True)
    ]
    affinity = tuple(f"label{'==' if wanted else '!='}~{name}" for name, wanted in rules)
    (placement,) = place(make_service(affinity=affinity), nodes, ()).placements
    scores = [score(place(make_service(affinity=affinity), [node], ()).placements[0].rules) for node in nodes]
    assert score(placement.rules) == max(scores)


def test_without_rules_there_is_nothing_to_tell() -> None:
    (placement,) = place(make_service(), make_nodes(2), ()).placements
    assert placement.rules == ()


def test_an_instance_that_stays_does_not_count_itself() -> None:
    one, two = (replace(node, labels=(f"az={node.id}",)) for node in make_nodes(2))
    home = one.with_recorded(Recorded("s1", "stack/web", 1))
    (placement,) = place(make_service(strategy="random", spread="az"), [home, two], ()).placements
    assert [(rule.rule, rule.count) for rule in placement.rules] == [("az=n1", 0)]
