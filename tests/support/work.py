"""What clients do with one thing of each service: write a number, and read it back."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.support.suite import Api


@dataclass(frozen=True)
class Work:
    """What a client does with the thing that is its own: write the number `n`, and read it back with `written`. `once`
    reads it too, and something else when a write was done twice. A read that is a stream of gRPC ends otherwise than
    others when a process stops."""

    write: tuple[str, str]
    read: str
    body: Callable[[int, int], Any]
    written: Callable[[dict[str, Any]], int]
    once: Callable[[dict[str, Any]], int] | None = None
    stream: str = ""

    def number(self, shown: dict[str, Any]) -> int:
        """The number of writes, as far as it can be told."""
        return (self.once or self.written)(shown)


WORK = {
    "auth": Work(
        ("PATCH", "/v1/config"),
        "/v1/config/x.replica{client}",
        lambda client, n: {f"x.replica{client}": str(n)},
        lambda shown: int(*shown.values()),
    ),
    "grid": Work(
        ("PUT", "/v1/nodes/{grid}/node-{client}"),
        "/v1/nodes/{grid}/node-{client}",
        lambda _, n: {"labels": [f"n={n}"]},
        lambda shown: int(shown["labels"][0].removeprefix("n=")),
    ),
    "deploy": Work(
        ("PUT", "/v1/services/{grid}/null/web-{client}"),
        "/v1/services/{grid}/null/web-{client}",
        lambda _, n: {"env": [f"N={n}"]},
        lambda shown: int(shown["env"][0].removeprefix("N=")),
        lambda shown: shown["revision"] - 1 if shown["env"] == [f"N={shown['revision'] - 1}"] else -1,
        stream="/v1/services/{grid}/null/web-{client}/container_logs",
    ),
    "vault": Work(
        ("PUT", "/v1/secrets/{grid}/SECRET_{client}"),
        "/v1/secrets/{grid}/SECRET_{client}",
        lambda _, n: {"value": str(n)},
        lambda shown: int(shown["value"]),
    ),
}


def prepare(api: Api, grid: str, clients: int) -> None:
    """A grid with a node, a service and a secret for each client; none of them runs anywhere."""
    api.call("POST", "/v1/grids", {"name": grid}, status=201)
    for client in range(clients):
        service = {"name": f"web-{client}", "image": "none/none", "stateful": False}
        api.call("POST", f"/v1/grids/{grid}/nodes", {"name": f"node-{client}"}, status=201)
        api.call("POST", f"/v1/grids/{grid}/services", service, status=201)
        api.call("POST", f"/v1/grids/{grid}/secrets", {"name": f"SECRET_{client}", "value": "0"}, status=201)


def remove(api: Api, grid: str, clients: int) -> None:
    """What `prepare` made, and what the clients wrote."""
    for client in range(clients):
        api.request("DELETE", f"/v1/config/x.replica{client}")
        api.request("DELETE", f"/v1/services/{grid}/null/web-{client}")
        api.request("DELETE", f"/v1/nodes/{grid}/node-{client}")
    api.call("DELETE", f"/v1/grids/{grid}")
