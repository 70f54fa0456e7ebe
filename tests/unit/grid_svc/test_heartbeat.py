"""How often agents give a sign of life."""

from services.grid_svc.domain.heartbeat import Rhythm

RHYTHM = Rhythm(seconds=5.0, per_second=50.0, writing=2.5)


def test_a_replica_is_not_spoken_to_more_often_however_many_nodes_it_has() -> None:
    assert {nodes: RHYTHM.period(nodes) for nodes in (0, 1, 250, 500, 1000)} == {0: 5, 1: 5, 250: 5, 500: 10, 1000: 20}


def test_three_that_are_missing_end_a_session() -> None:
    assert RHYTHM.patience(RHYTHM.period(1)) == 15
    assert RHYTHM.patience(RHYTHM.period(1000)) == 60


def test_a_dead_replica_is_noticed_a_little_later_than_a_silent_node() -> None:
    assert (RHYTHM.silence(1), RHYTHM.silence(1000)) == (20, 65)
