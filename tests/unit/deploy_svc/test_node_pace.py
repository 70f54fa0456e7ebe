"""How long a node waits that has more stored than it should."""

from services.deploy_svc.usecases.node_pace import NodePace


def test_a_flood_waits_and_another_node_does_not() -> None:
    now = 0.0
    pace = NodePace(10, 100, clock=lambda: now)
    assert [pace.debt("hostile", 50) for _ in range(4)] == [0, 0, 5, 10]
    assert pace.debt("hostile", 10_000) == 10
    assert pace.debt("honest", 100) == 0
    now += 20.0
    assert pace.debt("hostile", 100) == 0
    assert pace.debt("hostile", 10) == 1
    now += 1000.0
    assert pace.debt("hostile", 100) == 0
    assert pace.debt("hostile", 1) == 0.1


def test_what_is_remembered_is_bounded() -> None:
    pace = NodePace(1, 1, clock=lambda: 0.0)
    for number in range(20_100):
        pace.debt(str(number), 1)
    assert len(pace._left) == 20_000
