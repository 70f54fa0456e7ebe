"""A grid's log forwarder, from REST to what fluentd gets, without a restart of anything."""

from tests.support.fluentd import Fluentd
from tests.support.suite import Api, soon


def test_lines_of_a_service_reach_fluentd_while_the_grid_asks_for_it(api: Api, image: str) -> None:
    fluentd = Fluentd()
    path = f"/v1/grids/{api.grid}"
    cmd = ["sh", "-c", "n=0; while true; do n=$((n+1)); echo line $n; sleep 0.1; done"]
    body = {"name": "talker", "image": image, "stateful": False, "cmd": cmd, "stop_grace_period": "0s"}
    service = api.call("POST", f"{path}/services", body, status=201)["id"]
    try:
        api.deploy(service)
        api.call(
            "PUT", path, {"logs": {"forwarder": "fluentd", "opts": {"fluentd-address": f"127.0.0.1:{fluentd.port}"}}}
        )
        tag, seconds, record = soon(lambda: next(iter(fluentd.events), None), message="a line arrives")
        assert tag == f"local-node.{api.grid}.null.talker.1"
        assert seconds > 1_700_000_000
        assert record["log"].startswith("line ")
        expected = {"source": "stdout", "node": "local-node", "grid": api.grid, "stack": "null", "service": "talker"}
        assert expected.items() <= record.items()
        logs = soon(lambda: api.call("GET", f"/v1/services/{service}/container_logs?limit=5000")["logs"])
        assert logs[0]["data"] == "line 1", "the master gets all lines as ever"
    finally:
        api.call("PUT", path, {"logs": {"forwarder": "none"}})
        soon(lambda: api.request("DELETE", f"/v1/services/{service}").status_code in (200, 404))
        fluentd.close()
