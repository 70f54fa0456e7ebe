"""Two of everything, the database included: its primary is killed under load, and the standby takes over. The last test
of this folder, as the first server stays away."""

import time

import pytest

from tests.support.compose import Compose
from tests.support.ledger import Ledger
from tests.support.suite import Api, soon
from tests.support.work import prepare


@pytest.mark.heavy
def test_nothing_acknowledged_is_lost_when_the_standby_takes_over(apis: list[Api], compose: Compose) -> None:
    compose.start_standby()
    api = apis[0]
    prepare(api, "takeover", 1)
    body = {"name": "kept", "image": "kontena/busybox:1", "stateful": False, "cmd": ["sleep", "100000"]}
    kept = api.call("POST", f"/v1/grids/{api.grid}/services", body | {"stop_grace_period": "0s"}, status=201)["id"]
    with Ledger(api, "takeover", kept) as ledger:
        soon(lambda: ledger.acknowledged > 40, within=300, message="there is a load")
        compose.kill_primary()
        soon(
            lambda: ledger.answers["write 503"] > 3, within=300, message="writes are refused while there is no primary"
        )
        compose.promote_standby()
        before, promoted = ledger.acknowledged, time.monotonic()
        soon(lambda: ledger.acknowledged > before, within=300, message="a write is done")
        print(f"a write was done {time.monotonic() - promoted:.1f} s after the promotion")  # noqa: T201
        soon(lambda: ledger.acknowledged > before + 40, within=300, message="the load goes on")
        ended = len(ledger.deploys.ended)
        soon(lambda: len(ledger.deploys.ended) > ended + 1, within=300, message="deploys go on")
    print(f"answers: {dict(sorted(ledger.answers.items()))}")  # noqa: T201
    assert ledger.check() == []
    assert all(told.startswith("success") for told in ledger.deploys.ended.values()), ledger.deploys.ended
    api.call("DELETE", f"/v1/services/{kept}")
