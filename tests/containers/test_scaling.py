"""Each service scales by itself while requests go on, and none of them fails."""

import pytest

from tests.support.compose import Compose
from tests.support.load import MixedLoad
from tests.support.suite import Api


@pytest.mark.parametrize("service", ["auth_svc", "grid_svc", "deploy_svc", "vault_svc"])
def test_one_three_one_under_load(api: Api, compose: Compose, service: str) -> None:
    compose.scale(**{service: 1})
    with MixedLoad(api) as load:
        compose.scale(**{service: 3})
        compose.scale(**{service: 1})
    assert load.failures == []
    assert load.done > 50
    print(f"{service} 1-3-1: {load.done} requests, none failed")  # noqa: T201
    compose.scale(**{service: 2})
