"""Each service scales by itself while requests go on, and none of them fails."""

import pytest

from tests.support.compose import Compose
from tests.support.load import MixedLoad
from tests.support.suite import Api, soon


@pytest.mark.parametrize("service", ["auth_svc", "grid_svc", "deploy_svc", "vault_svc"])
def test_one_three_one_under_load(apis: list[Api], compose: Compose, service: str) -> None:
    compose.scale(**{service: 1})
    with MixedLoad(*apis) as load:
        compose.scale(**{service: 3})
        soon(lambda: all(compose.answered(service, n) for n in (1, 2, 3)), message="each replica has its share")
        told = compose.refusals()
        compose.scale(**{service: 1})
    assert load.failures == [], [*told, *compose.refusals()]
    assert load.done > 50
    print(f"{service} 1-3-1: {load.done} requests, none failed")  # noqa: T201
    compose.scale(**{service: 2})
