from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.grid_svc.domain.grid import GridCounts, Logs, Statsd, is_subnet, overlay_ip
from services.grid_svc.domain.grid_input import (
    GridChanges,
    LogsInput,
    NewGrid,
    StatsdInput,
    StatsInput,
    check_changes,
    check_new,
    deeper_errors,
    logs_of,
    statsd_of,
)
from services.kernel.errors import ValidationFailed


@pytest.mark.parametrize("name", ["abc", "A_b-9", "a" * 200, "---"])
def test_good_names(name: str) -> None:
    assert check_new(NewGrid(name=f" {name}\n")).name == name


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "Name can't be blank"),
        (" \t", "Name can't be blank"),
        ("ab", "Name is too short"),
        ("a.b", "Name isn't in the right format"),
        ("abc\ndef", "Name isn't in the right format"),
        ("abé", "Name isn't in the right format"),
        ("a" * 201, "Name is too long"),
    ],
)
def test_bad_names(name: str, message: str) -> None:
    with pytest.raises(ValidationFailed) as refused:
        check_new(NewGrid(name=name))
    assert refused.value.errors == {"name": message}


def test_all_format_errors_come_together() -> None:
    changes = GridChanges(("",), ("a", ""), StatsInput(StatsdInput(None, 70000)), LogsInput(None, {}))
    with pytest.raises(ValidationFailed) as refused:
        check_new(NewGrid("a", 8, " ", "", "\x00", changes))
    assert refused.value.errors == {
        "name": "Name is too short",
        "initial_size": "Initial Size is too big",
        "token": "Token can't be blank",
        "subnet": "Subnet can't be blank",
        "supernet": "Supernet can't be blank",
        "default_affinity": ["Default Affinity[0] can't be blank"],
        "trusted_subnets": [None, "Trusted Subnets[1] can't be blank"],
        "stats": {"statsd": {"server": "Server is required", "port": "Port is too big"}},
        "logs": {"forwarder": "Forwarder is required"},
    }


def test_the_second_phase_names_the_last_bad_subnet() -> None:
    changes = GridChanges(trusted_subnets=("x", "10.0.0.0/8", "y"), logs=LogsInput("fluentd", {"fluentd-address": ""}))
    assert deeper_errors(NewGrid(subnet="1.2.3", supernet="::1/129", changes=changes)) == {
        "subnet": "Invalid subnet 1.2.3",
        "supernet": "Invalid supernet ::1/129",
        "trusted_subnets": "Invalid trusted_subnet y",
        "logs": "fluentd-address option must be given",
    }
    assert deeper_errors(NewGrid()) == {}


def test_nothing_given_is_nothing_wrong() -> None:
    assert check_new(NewGrid()) == NewGrid()
    assert check_changes(GridChanges()) == GridChanges()


def test_what_checked_input_asks_for() -> None:
    assert statsd_of(StatsInput(StatsdInput("h", 1))) == Statsd("h", 1)
    assert statsd_of(StatsInput()) is None
    assert statsd_of(None) is None
    assert logs_of(LogsInput("fluentd", {"fluentd-address": "f"})) == Logs("fluentd", {"fluentd-address": "f"})
    assert logs_of(LogsInput("none", {})) is None
    assert logs_of(None) is None
    assert GridCounts() == GridCounts(0, 0, 0, 0)


@given(st.ip_addresses(v=4), st.integers(0, 32))
def test_every_cidr_is_a_subnet(address: Any, prefix: int) -> None:
    assert is_subnet(f"{address}/{prefix}")
    assert is_subnet(str(address))
    assert not is_subnet(f"{address}/{prefix + 33}")


@given(st.text())
def test_any_text_is_a_subnet_or_not(text: str) -> None:
    # What passes has an overlay address: nothing can fail later.
    if is_subnet(text):
        overlay_ip(text, 254)


@given(st.integers(0, 255), st.integers(1, 254))
def test_overlay_addresses_lie_in_the_subnet(third: int, number: int) -> None:
    assert overlay_ip(f"10.81.{third}.0/24", number) == f"10.81.{third}.{number}"


@pytest.mark.parametrize(
    ("subnet", "number", "address"),
    [
        ("10.81.0.0/16", 3, "10.81.0.3"),
        ("10.81.5.9/16", 254, "10.81.0.254"),
        ("10.81.0.0", 1, "10.81.0.1"),
        ("fd00::/64", 17, "fd00::11"),
    ],
)
def test_overlay_ip(subnet: str, number: int, address: str) -> None:
    assert overlay_ip(subnet, number) == address
