"""Waiting for the port of an instance."""

from itertools import islice

from agent.port_wait import pauses


def test_a_port_is_tried_soon_after_the_start_and_each_second_in_the_long_run() -> None:
    found = list(islice(pauses(), 8))
    assert found[:5] == [0.05, 0.1, 0.2, 0.4, 0.8]
    assert found[5:] == [1.0, 1.0, 1.0]
