"""A grid's admin cannot make the master or the nodes talk to themselves."""

from typing import Any

import pytest
import sqlalchemy as sa

from services.kernel.db import Database
from tests.integration.grid_svc.caller import Caller

pytestmark = pytest.mark.usefixtures("token")

# LOG_TARGETS_ALLOWED opens 127.0.0.1 here, and STATSD_ALLOWED that and `localhost`.
CLOSED = ["127.0.0.2", "::1", "169.254.169.254", "224.0.0.1"]


def statsd(host: str) -> dict[str, Any]:
    return {"stats": {"statsd": {"server": host, "port": 8125}}}


def logs(address: str) -> dict[str, Any]:
    return {"logs": {"forwarder": "fluentd", "opts": {"fluentd-address": address}}}


@pytest.mark.parametrize("host", CLOSED)
async def test_metrics_to_the_master_itself_are_refused(admin: Caller, host: str) -> None:
    answer = await admin.update_grid("alpha", statsd(host))
    assert answer.status == 422
    assert answer.body["error"]["stats"]["statsd"]["server"] == (
        f"Server {host} cannot be used: loopback and link-local addresses are closed. "
        "An operator may open it with STATSD_ALLOWED"
    )
    assert (await admin.create_grid({"name": "new", **statsd(host)})).status == 422


@pytest.mark.parametrize("host", CLOSED)
async def test_logs_to_the_nodes_themselves_are_refused(admin: Caller, host: str) -> None:
    for address in (host if ":" not in host else f"[{host}]", f"tcp://{f'[{host}]' if ':' in host else host}:24224"):
        answer = await admin.update_grid("alpha", logs(address))
        assert answer.status == 422
        assert answer.body["error"]["logs"] == (
            f"fluentd-address {address} cannot be used: loopback and link-local addresses are closed. "
            "An operator may open it with LOG_TARGETS_ALLOWED"
        )
        assert (await admin.create_grid({"name": "new", **logs(address)})).status == 422


async def test_what_an_operator_opened_and_what_nobody_knows_pass(admin: Caller) -> None:
    for change in (statsd("localhost"), statsd("10.0.0.9"), logs("127.0.0.1:24224"), logs("no.such.host.invalid:1")):
        assert (await admin.update_grid("alpha", change)).status == 200, change


async def test_what_a_grid_has_from_before_can_be_sent_again(admin: Caller, db: Database) -> None:
    assert (await admin.update_grid("alpha", logs("10.0.0.9:24224"))).status == 200
    before = '{"fluentd-address": "[::1]:24224"}'
    async with db.transaction() as tx:
        await tx.execute(sa.text("update grid.grids set logs_opts = cast(:opts as jsonb)"), {"opts": before})
    assert (await admin.update_grid("alpha", logs("[::1]:24224"))).status == 200
    assert (await admin.update_grid("alpha", logs("[::1]:24225"))).status == 422
