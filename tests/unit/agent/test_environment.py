"""Environment of a container."""

import pytest

from agent.domain.environment import LONGEST, join_env
from agent.domain.errors import ConfigInvalid


def test_secrets_follow_the_environment_in_order_of_first_appearance() -> None:
    joined = join_env(["A=1", "B=2"], [("Z", "z"), ("A", "secret")])
    assert joined == ["A=1", "B=2", "Z=z", "A=secret"]


def test_several_values_of_one_name_are_lines() -> None:
    assert join_env([], [("SSL_CERTS", "one"), ("X", "x"), ("SSL_CERTS", "two")]) == ["SSL_CERTS=one\ntwo", "X=x"]


def test_an_empty_value_is_an_empty_line() -> None:
    assert join_env([], [("X", ""), ("X", "b"), ("Y", "")]) == ["X=\nb", "Y="]


def test_the_limit_counts_bytes_and_the_error_tells_no_value() -> None:
    fits = "x" * (LONGEST - len("BIG="))
    assert join_env([], [("BIG", fits)])
    with pytest.raises(
        ConfigInvalid, match=f"^Kontena::Models::ServicePod::ConfigError: Env BIG is too large at {LONGEST + 1} bytes"
    ) as caught:
        join_env([], [("BIG", fits[:-1] + "é")])
    assert "xxx" not in str(caught.value)
