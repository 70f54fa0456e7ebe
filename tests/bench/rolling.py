"""A rolling update of instances that answer HTTP, ours and Swarm's, and what a client of ours meets meanwhile.

Swarm's client would need the firewall rules that the engines of a benchmark go without, so it is timed only.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.bench.ours import IMAGE, Ours
from tests.bench.swarm import Swarm
from tests.support.engine import Engine
from tests.support.suite import soon

PORT = 8080
AT_ONCE = 2
ORDERS = ("stop_first", "start_first")
_NAME = "rolled"


@dataclass
class Rolled:
    """Seconds of an update by order and subject; requests that a client in the grid sent while ours started first."""

    instances: int
    seconds: dict[str, dict[str, float]] = field(default_factory=dict)
    requests: int = 0
    failed: int = 0


def rolling(ours: Ours, engine: Engine, other: Swarm, instances: int) -> Rolled:
    """Update with each order, one after the other."""
    found = Rolled(instances)
    for order in ORDERS:
        found.seconds[order] = {
            "ours": _ours(ours, engine, instances, order, found),
            "Swarm": _swarm(other, instances, order),
        }
    return found


def command(version: str) -> list[str]:
    """A web server that ends when it is told to."""
    return ["sh", "-c", f"trap exit TERM; echo {version} >/www/index.html; httpd -f -p {PORT} -h /www & wait"]


def _ours(ours: Ours, engine: Engine, instances: int, order: str, found: Rolled) -> float:
    call, grid = ours.api.call, ours.api.grid
    options = {"wait_for_port": PORT, "parallelism": AT_ONCE, "min_health": 0.8, "order": order}
    body = {"image": IMAGE, "stateful": False, "instances": instances, "deploy_opts": options}
    path = f"/v1/services/{grid}/null/{_NAME}"
    call("POST", f"/v1/grids/{grid}/services", {"name": _NAME, **body, "cmd": command("v1")}, status=201)
    ours.api.deploy(f"{grid}/null/{_NAME}")
    _all(engine, instances, "v1")
    client = {"name": "asking", "image": IMAGE, "stateful": False}
    client["cmd"] = ["sh", "-c", f"trap exit TERM; while true; do {_ask(f'{_NAME}.{grid}.kontena.local')}; done"]
    call("POST", f"/v1/grids/{grid}/services", client, status=201)
    try:
        ours.api.deploy(f"{grid}/null/asking")
        soon(lambda: _said(engine, "well") > 0, message="the client is answered")
        before = _said(engine, "failed")
        call("PUT", path, {"cmd": command("v2")})
        seconds = _until(lambda: call("POST", f"{path}/deploy", {}), lambda: _running(engine, instances, "v2"))
        if order == "start_first":
            # Those of before run on for a while: nothing may fail when they end either.
            soon(lambda: not _listed(engine, "v1"), message="those of before are gone")
            found.requests, found.failed = _said(engine, "well"), _said(engine, "failed") - before
    finally:
        for name in ("asking", _NAME):
            ours.remove(name)
        soon(lambda: not _listed(engine, "httpd") and not _listed(engine, "nslookup"), message="they are removed")
    return seconds


def _ask(name: str) -> str:
    """One request of a shell to an instance by name, the name asked anew. Not wget: linked statically, it cannot use
    names."""
    address = f"$(nslookup {name} 2>/dev/null | awk '/^Address: /{{print $2}}' | shuf -n1)"
    request = r"printf 'GET / HTTP/1.0\r\n\r\n'"
    return f"{request} | timeout 5 nc {address} {PORT} 2>/dev/null | grep -q '200 OK' && echo well || echo failed"


def _swarm(other: Swarm, instances: int, order: str) -> float:
    engine = other.engine
    other.create(_NAME, instances, command("v1"))
    try:
        _all(engine, instances, "v1")
        update = {"Parallelism": AT_ONCE, "Order": order.replace("_", "-"), "Monitor": 1_000_000_000}
        return _until(
            lambda: other.update(_NAME, instances, command("v2"), update), lambda: _running(engine, instances, "v2")
        )
    finally:
        other.remove(_NAME)
        soon(lambda: not _listed(engine, "httpd"), message="they are removed")


def _until(begin: Callable[[], object], fact: Callable[[], bool]) -> float:
    began = time.perf_counter()
    begin()
    deadline = began + 240
    while not fact():
        if time.perf_counter() > deadline:
            raise RuntimeError("the update did not end within 240 s")
        time.sleep(0.05)
    return time.perf_counter() - began


def _all(engine: Engine, instances: int, version: str) -> None:
    soon(lambda: _running(engine, instances, version), within=120, message=f"{instances} instances run {version}")


def _running(engine: Engine, instances: int, version: str) -> bool:
    return _listed(engine, version) >= instances


def _listed(engine: Engine, word: str) -> int:
    return sum(word in container["Command"] for container in engine.request("GET", "/containers/json"))


def _said(engine: Engine, word: str) -> int:
    [client] = [each for each in engine.request("GET", "/containers/json") if "nslookup" in each["Command"]]
    return engine.tail(client["Id"], 1_000_000).count(word.encode())
