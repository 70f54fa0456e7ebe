"""What passed between two reports of a node."""

import pytest

from services.grid_svc.domain.network_report import NetworkReport, PeerTraffic, Traffic, traffic_since


def report(**counts: tuple[int, int]) -> NetworkReport:
    """Received and sent bytes by the id of the peer."""
    return NetworkReport(peers=tuple(PeerTraffic(key, None, *found) for key, found in counts.items()))


@pytest.mark.parametrize(
    ("before", "now", "passed"),
    [
        (report(), report(a=(5, 6)), Traffic(5, 6)),
        (report(a=(5, 6)), report(a=(7, 9), b=(10, 20)), Traffic(12, 23)),
        (report(a=(5, 6)), report(a=(5, 6)), Traffic(0, 0)),
        (report(a=(500, 600), b=(1, 1)), report(b=(2, 2)), Traffic(1, 1)),
    ],
)
def test_what_is_new_counts_over_all_peers(before: NetworkReport, now: NetworkReport, passed: Traffic) -> None:
    assert traffic_since(before, now) == passed


def test_a_peer_that_was_set_up_anew_begins_at_zero() -> None:
    assert traffic_since(report(a=(500, 600)), report(a=(7, 700))) == Traffic(7, 100)


def test_counts_below_zero_take_nothing_away() -> None:
    assert traffic_since(report(a=(5, 5)), report(a=(-1000, -1), b=(-5, 3))) == Traffic(0, 3)
