"""A dry run waits for lost nodes as a deploy does."""

from dataclasses import replace

import pytest

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


def test_a_lost_node_gets_nothing_new() -> None:
    one, two = make_nodes(2)
    placed = place(make_service(instances=2), [one, replace(two, connected=False, offline_seconds=5.0)], ())
    assert [item.node for item in placed.placements] == ["n1", "n1"]
