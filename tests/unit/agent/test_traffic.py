from agent.domain.traffic import Traffic, TrafficReading, network_usage


def reading(at: float, **interfaces: tuple[int, int]) -> TrafficReading:
    return TrafficReading(at, {name.replace("_", "-"): Traffic(*counts) for name, counts in interfaces.items()})


def test_bridges_of_containers_are_internal_and_interfaces_of_the_machine_external() -> None:
    before = reading(10.0, eth0=(1000, 500), br_1a=(10, 20), br_2b=(1, 1), veth7=(99, 99), docker0=(7, 7), lo=(5, 5))
    after = reading(20.0, eth0=(3000, 600), br_1a=(110, 40), br_2b=(1, 1), veth7=(199, 99), docker0=(9, 9), lo=(9, 9))
    usage = network_usage(before, after)
    assert list(usage.internal.interfaces) == ["br-1a", "br-2b"]
    assert (usage.internal.rx_bytes, usage.internal.tx_bytes) == (111, 41)
    assert (usage.internal.rx_bytes_per_second, usage.internal.tx_bytes_per_second) == (10, 2)
    assert list(usage.external.interfaces) == ["eth0"]
    assert (usage.external.rx_bytes, usage.external.tx_bytes) == (3000, 600)
    assert (usage.external.rx_bytes_per_second, usage.external.tx_bytes_per_second) == (200, 10)


def test_interfaces_that_are_new_or_were_reset_make_no_peak() -> None:
    usage = network_usage(reading(10.0, eth0=(5000, 5000)), reading(20.0, eth0=(10, 10), eth1=(10**9, 10**9)))
    assert (usage.external.rx_bytes_per_second, usage.external.tx_bytes_per_second) == (0, 0)


def test_no_time_in_between_is_no_rate() -> None:
    now = reading(10.0, eth0=(10, 10))
    assert network_usage(now, now).external.rx_bytes_per_second == 0


def test_a_machine_without_containers_has_no_internal_traffic() -> None:
    now = reading(10.0, eth0=(10, 10), docker0=(0, 0))
    assert not network_usage(now, now).HasField("internal")
