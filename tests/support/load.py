"""A mixed load of reads and writes from a few clients, bounded in count and time, that remembers what failed."""

import threading
import time
from functools import partial

import httpx

from tests.support.background import Background
from tests.support.suite import Api


class MixedLoad(Background):
    """`with MixedLoad(api) as load:` runs until the block ends; then `load.failures` and `load.done` are complete. With
    several clients of one grid, one for each gateway, they take turns.

    Each client reads lists, one service, one secret and nodes, and now and then makes, changes and removes a service.
    """

    def __init__(self, *apis: Api, clients: int = 4, pause: float = 0.02) -> None:
        turns = [partial(self._client, apis[number % len(apis)], number) for number in range(clients)]
        super().__init__(*turns, patience=60)
        self._pause = pause
        self._lock = threading.Lock()
        self.done = 0
        self.failures: list[str] = []

    def _client(self, api: Api, number: int) -> None:
        grid, name = api.grid, f"load-{number}"
        headers = {"Authorization": f"Bearer {api.token}", "Accept": "application/json"}
        service = f"/v1/services/{grid}/null/{name}"
        body = {"name": name, "image": "kontena/busybox:1", "stateful": False}
        reads = ("GET", f"/v1/grids/{grid}/services", None), ("GET", f"/v1/grids/{grid}/nodes", None)
        steps = (
            ("POST", f"/v1/grids/{grid}/services", body),
            *reads,
            ("GET", service, None),
            ("PUT", service, {"env": ["A=1"]}),
            ("GET", f"/v1/grids/{grid}/secrets", None),
            ("GET", "/v1/user", None),
            ("DELETE", service, None),
        )
        with httpx.Client(base_url=api.url, headers=headers, timeout=30) as client:
            while not self._stop.is_set():
                for method, path, document in steps:
                    self._note(method, path, self._send(client, method, path, document))
                    time.sleep(self._pause)

    def _send(self, client: httpx.Client, method: str, path: str, document: object) -> str:
        try:
            answer = client.request(method, path, json=document)
        except httpx.HTTPError as error:
            return repr(error)
        return "" if answer.is_success else f"{answer.status_code} {answer.text[:200]}"

    def _note(self, method: str, path: str, problem: str) -> None:
        with self._lock:
            self.done += 1
            if problem:
                self.failures.append(f"{method} {path}: {problem}")
