"""Changes that keep coming: services are scaled, which leaves their other containers as they are."""

import itertools
import queue
import random
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import httpx

from tests.bench.ours import Ours
from tests.support.suite import soon

_CLIENTS = 16


@dataclass(frozen=True)
class Changes:
    """Changes per second that came about; seconds: 99 of 100 requests took no longer, 99 of 100 deploys ended so soon
    after they were asked for."""

    rate: float
    asked: int
    ended: int
    api_p99: float
    start_p99: float


def keep_changing(ours: Ours, services: Sequence[str], per_second: int, seconds: float) -> Changes:
    """Ask for each change when its time has come, whatever became of those before: one instance of a service is
    added or taken away."""
    jobs: queue.SimpleQueue[tuple[str, int] | None] = queue.SimpleQueue()
    waits: list[float] = []
    deploys: list[tuple[str, str]] = []
    failed: list[Exception] = []

    def work() -> None:
        headers = {"Authorization": f"Bearer {ours.api.token}"}
        with httpx.Client(base_url=ours.api.url, headers=headers, timeout=60) as client:
            while (job := jobs.get()) is not None:
                try:
                    deploys.append(_change(client, *job, waits))
                except (httpx.HTTPError, KeyError) as error:
                    failed.append(error)

    threads = [threading.Thread(target=work) for _ in range(_CLIENTS)]
    for thread in threads:
        thread.start()
    sizes = {service: ours.api.call("GET", f"/v1/services/{service}")["instances"] for service in services}
    # Each service in turn, so that a deploy has as long as possible until the next one of its service.
    order = list(services)
    random.Random(1).shuffle(order)
    began = time.monotonic()
    for number, service in enumerate(itertools.cycle(order)):
        if time.monotonic() - began >= seconds:
            break
        sizes[service] += 1 if number // len(order) % 2 == 0 else -1
        jobs.put((service, sizes[service]))
        time.sleep(max(0.0, began + (number + 1) / per_second - time.monotonic()))
    for _ in threads:
        jobs.put(None)
    for thread in threads:
        thread.join()
    took = time.monotonic() - began
    if failed:
        raise RuntimeError(f"{len(failed)} changes failed, the first with {failed[0]!r}")
    return _changes(ours, deploys, sorted(waits), took)


def _change(client: httpx.Client, service: str, instances: int, waits: list[float]) -> tuple[str, str]:
    began = time.perf_counter()
    answer = client.post(f"/v1/services/{service}/scale", json={"instances": instances}).raise_for_status()
    waits.append(time.perf_counter() - began)
    return service, answer.json()["id"]


def _changes(ours: Ours, deploys: Sequence[tuple[str, str]], waits: Sequence[float], took: float) -> Changes:
    ended = [
        soon(lambda path=f"/v1/services/{service}/deploys/{each}": _ended(ours, path), within=120)
        for service, each in deploys
    ]
    counted = [deploy for deploy in ended if deploy["state"] == "success"]
    starts = sorted(_time(deploy["finished_at"]) - _time(deploy["created_at"]) for deploy in counted)
    api_p99 = waits[int(len(waits) * 0.99)]
    return Changes(len(deploys) / took, len(deploys), len(counted), api_p99, starts[int(len(starts) * 0.99)])


def _ended(ours: Ours, path: str) -> dict[str, str] | None:
    found = ours.api.call("GET", path)
    return found if found.get("finished_at") else None


def _time(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
