"""Changes that keep coming: services are scaled, which leaves their other containers as they are."""

import itertools
import queue
import random
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import httpx

from tests.bench.ours import Ours
from tests.support.suite import soon

_CLIENTS = 16
# So many changes later a deploy is looked at: it has ended, and of each service the newest hundred are kept.
_LATER = 10


@dataclass(frozen=True)
class Changes:
    """Changes per second that came about; seconds: 99 of 100 requests took no longer, 99 of 100 deploys ended so soon
    after they were asked for."""

    rate: float
    asked: int
    ended: int
    api_p99: float
    start_p99: float


class _Clients:
    """Who asks for changes, and what became of them."""

    def __init__(self, ours: Ours, services: Sequence[str]) -> None:
        self.waits: list[float] = []
        self.ended: list[dict[str, str]] = []
        self._failed: list[Exception] = []
        self._ours = ours
        self._asked: dict[str, deque[str]] = {service: deque() for service in services}
        self._jobs: queue.SimpleQueue[tuple[str, int] | None] = queue.SimpleQueue()
        self._threads = [threading.Thread(target=self._work) for _ in range(_CLIENTS)]
        for thread in self._threads:
            thread.start()

    def change(self, service: str, instances: int) -> None:
        """Have it asked for as soon as a client is free."""
        self._jobs.put((service, instances))

    def finish(self) -> None:
        """Return when all that were asked for have ended. Raises RuntimeError when one failed."""
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join()
        if self._failed:
            raise RuntimeError(f"{len(self._failed)} changes failed, the first with {self._failed[0]!r}")
        with self._client() as client:
            self.ended += [_ended(client, path) for paths in self._asked.values() for path in paths]

    def _client(self) -> httpx.Client:
        headers = {"Authorization": f"Bearer {self._ours.api.token}"}
        return httpx.Client(base_url=self._ours.api.url, headers=headers, timeout=60)

    def _work(self) -> None:
        with self._client() as client:
            while (job := self._jobs.get()) is not None:
                try:
                    self._one(client, *job)
                except (httpx.HTTPError, LookupError, AssertionError) as error:
                    self._failed.append(error)

    def _one(self, client: httpx.Client, service: str, instances: int) -> None:
        asked, began = self._asked[service], time.perf_counter()
        answer = client.post(f"/v1/services/{service}/scale", json={"instances": instances}).raise_for_status()
        self.waits.append(time.perf_counter() - began)
        asked.append(f"/v1/services/{service}/deploys/{answer.json()['id']}")
        if len(asked) > _LATER:
            self.ended.append(_ended(client, asked.popleft()))


def keep_changing(ours: Ours, services: Sequence[str], per_second: int, seconds: float) -> Changes:
    """Ask for each change when its time has come, whatever became of those before: one instance of a service is
    added or taken away."""
    clients = _Clients(ours, services)
    sizes = {service: ours.api.call("GET", f"/v1/services/{service}")["instances"] for service in services}
    # Each service in turn, so that a deploy has as long as possible until the next one of its service.
    order = list(services)
    random.Random(1).shuffle(order)
    began = time.monotonic()
    for number, service in enumerate(itertools.cycle(order)):
        if time.monotonic() - began >= seconds:
            break
        sizes[service] += 1 if number // len(order) % 2 == 0 else -1
        clients.change(service, sizes[service])
        time.sleep(max(0.0, began + (number + 1) / per_second - time.monotonic()))
    took = time.monotonic() - began
    clients.finish()
    return _changes(clients.ended, sorted(clients.waits), took)


def _changes(ended: Sequence[Mapping[str, str]], waits: Sequence[float], took: float) -> Changes:
    counted = [deploy for deploy in ended if deploy["state"] == "success"]
    starts = sorted(_time(deploy["finished_at"]) - _time(deploy["created_at"]) for deploy in counted)
    api_p99 = waits[int(len(waits) * 0.99)]
    return Changes(len(ended) / took, len(ended), len(counted), api_p99, starts[int(len(starts) * 0.99)])


def _ended(client: httpx.Client, path: str) -> dict[str, str]:
    def fact() -> dict[str, str] | None:
        found: dict[str, str] = client.get(path).raise_for_status().json()
        return found if found.get("finished_at") else None

    return soon(fact, within=120, message=f"{path} has ended")


def _time(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
