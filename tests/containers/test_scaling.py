"""Each service scales by itself while requests go on, and none of them fails."""

import pytest

from tests.support.compose import Compose
from tests.support.load import MixedLoad
from tests.support.suite import Api, soon

# The one that holds the streams of agents; the other three take as long each.
OTHERS = ("auth_svc", "grid_svc", "vault_svc")


@pytest.mark.parametrize("service", ["deploy_svc", *(pytest.param(other, marks=pytest.mark.heavy) for other in OTHERS)])
def test_one_three_one_under_load(apis: list[Api], compose: Compose, service: str) -> None:
    compose.scale(**{service: 1})
    with MixedLoad(*apis) as load:
        compose.scale(**{service: 3})
        soon(lambda: all(compose.answered(service, n) for n in (1, 2, 3)), within=300, message="all have a share")
        told = compose.refusals()
        compose.scale(**{service: 1})
    assert load.failures == [], [*told, *compose.refusals()]
    assert load.done > 50
    print(f"{service} 1-3-1: {load.done} requests, none failed")  # noqa: T201
    compose.scale(**{service: 2})
