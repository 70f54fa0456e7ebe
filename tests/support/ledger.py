"""A mixed load over REST whose clients remember what they were told is done, so that a loss can be shown.

An answer is a success, or 503 that says when to try again, or there is none because the connection broke. After the
last two a client cannot know whether the write was done: both ends are right, anything else is a fault.
"""

import itertools
import os
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Self

import httpx

from tests.support.background import Background
from tests.support.suite import Api
from tests.support.work import WORK, Work

# Of each client between two requests; the short form runs beside other tests.
PAUSE = 0.05 if os.environ.get("KONTENA_SOAK") else 0.2
PREFIX = "LEDGER_"


@dataclass
class Number:
    """Something that one client counts up: no value below `told` is right, and none above `sent`."""

    told: int = 0
    sent: int = 0


@dataclass
class Deploys:
    """What came of the requests to deploy one service."""

    requests: int = 0
    ids: list[str] = field(default_factory=list)
    ended: dict[str, str] = field(default_factory=dict)


class Ledger(Background):
    """`with Ledger(api, grid, deployed) as ledger:` writes and reads until the block ends; then `faults` are complete,
    and `check` compares the rest with what is there. `grid` is prepared for one client (work.py), `deployed` the id of
    a service with containers."""

    def __init__(self, api: Api, grid: str, deployed: str, *, told_when: bool = True) -> None:
        """`told_when`: every 503 has to say when to try again, as it does since 1.6."""
        self._api, self._grid, self._deployed = api, grid, deployed
        self._told_when = told_when
        self._lock = threading.Lock()
        self.answers: Counter[str] = Counter()
        self.faults: list[str] = []
        # What was answered with a proper 503, by the id of the request, for who allows none.
        self.refused: dict[str, str] = {}
        self.numbers = {name: Number() for name in WORK}
        self.there: set[str] = set()
        self.perhaps: set[str] = set()
        self.deploys = Deploys()
        turns = [*(self._count(name, work) for name, work in WORK.items()), self._come_and_go, self._deploy, self._look]
        super().__init__(*(partial(self._client, turn) for turn in turns), patience=90)

    def __enter__(self) -> Self:
        with self._http() as http:
            for work in WORK.values():
                verb, path = work.write
                http.request(verb, self._path(path), json=work.body(0, 0)).raise_for_status()
        return super().__enter__()

    @property
    def acknowledged(self) -> int:
        """How many writes there were an answer for."""
        return sum(number for answer, number in self.answers.items() if answer.startswith("write 2"))

    def check(self) -> list[str]:
        """Every acknowledged write that is not there, and everything that nobody wrote."""
        with self._http() as http:
            for name, work in WORK.items():
                self._read_back(http, name, work)
            listed = http.get(f"/v1/grids/{self._grid}/secrets").raise_for_status().json()["secrets"]
        found = {one["name"] for one in listed if one["name"].startswith(PREFIX)}
        lost, strange = self.there - self.perhaps - found, found - self.there - self.perhaps
        self.faults += [f"lost: the secret {name}" for name in sorted(lost)]
        self.faults += [f"came back: the secret {name}" for name in sorted(strange)]
        return self.faults

    def _http(self) -> httpx.Client:
        headers = {"authorization": f"Bearer {self._api.token}", "accept": "application/json"}
        return httpx.Client(base_url=self._api.url, headers=headers, timeout=60)

    def _client(self, turn: Callable[[httpx.Client, int], None]) -> None:
        with self._http() as http:
            for number in itertools.count(1):
                if self._stop.is_set():
                    return
                try:
                    turn(http, number)
                except Exception as error:
                    self._fault(f"{turn.__qualname__}: {error!r}")
                    return
                self._stop.wait(PAUSE)

    def _fault(self, text: str) -> None:
        with self._lock:
            self.faults.append(text)

    def _send(self, http: httpx.Client, kind: str, method: str, path: str, body: Any = None) -> httpx.Response | None:
        """The answer of a success; None when there is none, or it is a proper 503."""
        answer: httpx.Response | None = None
        try:
            answer = http.request(method, path, json=body)
        except httpx.TransportError as error:
            text = type(error).__name__
        else:
            text = str(answer.status_code)
        with self._lock:
            self.answers[f"{kind} {text}"] += 1
        if answer is None or answer.is_success:
            return answer
        told = f"{time.strftime('%H:%M:%S')} {method} {path}: {answer.status_code} {answer.text[:300]}"
        if answer.status_code != 503 or (self._told_when and "retry-after" not in answer.headers):
            self._fault(f"{told} {dict(answer.headers)}")
        else:
            with self._lock:
                self.refused[answer.headers.get("x-request-id", "")] = told
        return None

    def _count(self, name: str, work: Work) -> Callable[[httpx.Client, int], None]:
        def turn(http: httpx.Client, n: int) -> None:
            number = self.numbers[name]
            number.sent = n
            verb, path = work.write
            if self._send(http, "write", verb, self._path(path), work.body(0, n)) is not None:
                number.told = n
            # Whoever does not know what is there does not go on: a later write must not meet an earlier one.
            while not self._read_back(http, name, work) and not self._stop.wait(PAUSE):
                pass

        return turn

    def _read_back(self, http: httpx.Client, name: str, work: Work) -> bool:
        number, answer = self.numbers[name], self._send(http, "read", "GET", self._path(work.read))
        if answer is None:
            return False
        if not number.told <= (found := work.written(answer.json())) <= number.sent:
            self._fault(f"lost: {name} has {found}, acknowledged was {number.told}, sent {number.sent}")
        return True

    def _path(self, path: str) -> str:
        return path.format(grid=self._grid, client=0)

    def _come_and_go(self, http: httpx.Client, n: int) -> None:
        """Secrets come, and every third goes again."""
        name, grid = f"{PREFIX}{n}", self._grid
        body = {"name": name, "value": f"value-{n}-of-the-ledger"}
        told = self._send(http, "write", "POST", f"/v1/grids/{grid}/secrets", body)
        (self.perhaps if told is None else self.there).add(name)
        if n % 3 == 0 and told is not None:
            gone = self._send(http, "write", "DELETE", f"/v1/secrets/{grid}/{name}")
            self.there.discard(name)
            if gone is None:
                self.perhaps.add(name)

    def _deploy(self, http: httpx.Client, _n: int) -> None:
        """One deploy after the other, each of which makes new containers."""
        self.deploys.requests += 1
        asked = self._send(http, "write", "POST", f"/v1/services/{self._deployed}/deploy", {"force": True})
        if asked is None:
            return
        deploy = str(asked.json()["id"])
        self.deploys.ids.append(deploy)
        while not self._stop.wait(0.2):
            shown = self._send(http, "read", "GET", f"/v1/services/{self._deployed}/deploys/{deploy}")
            if shown is not None and shown.json().get("finished_at"):
                self.deploys.ended[deploy] = f"{shown.json()['state']} {shown.json().get('reason') or ''}".strip()
                return

    def _look(self, http: httpx.Client, n: int) -> None:
        """Lists of every service in turn."""
        grid = self._deployed.partition("/")[0]
        paths = (
            "/v1/user", "/v1/audit_logs?limit=5", "/v1/grids", f"/v1/grids/{grid}/nodes", f"/v1/grids/{grid}/services",
            f"/v1/containers/{grid}", f"/v1/grids/{grid}/event_logs?limit=5", f"/v1/grids/{grid}/certificates",
            f"/v1/services/{self._deployed}/container_logs?limit=5",
        )  # fmt: skip
        self._send(http, "read", "GET", paths[n % len(paths)])
