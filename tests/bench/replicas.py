"""What a second replica of a service adds where cores allow it: each may use a part of a core only, and gateway,
database and load share the rest of the machine."""

import statistics
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from deploy.local.settings import LocalSettings
from gateway.settings import Endpoint
from tests.bench.ours import Ours
from tests.bench.quota import quota
from tests.bench.wrk import Request, load
from tests.integration.gateway.proxy import running, settings
from tests.support.replica import replica
from tests.support.suite import Suite

CORES = 0.3
_CONNECTIONS = 16
_OFFSETS = (25, 26)
_SERVICES = ("auth", "grid", "deploy", "vault")


@dataclass
class Scaled:
    """Answers per second of one replica and of two, by round."""

    work: str
    answers: str
    one: list[float] = field(default_factory=list)
    two: list[float] = field(default_factory=list)

    @property
    def rates(self) -> tuple[float, float]:
        """Medians."""
        return statistics.median(self.one), statistics.median(self.two)


def replicas(ours: Ours, works: Sequence[str], rounds: int, seconds: float) -> list[Scaled]:
    """Each work through a gateway with one replica and through one with two, in turn."""
    asked = {work: one for work, one in (ours.reads() | ours.writes()).items() if work in works}
    found = []
    for service in _SERVICES:
        own = {work: request for work, (answers, request) in asked.items() if answers == f"{service}_svc"}
        if own:
            with _gateways(ours.suite, service) as urls:
                found += [
                    _measure(Scaled(work, f"{service}_svc"), _through(urls, ours, request), rounds, seconds)
                    for work, request in own.items()
                ]
    return found


def _through(urls: Sequence[str], ours: Ours, request: Request) -> list[Request]:
    return [replace(request, url=request.url.replace(ours.api.url, url, 1)) for url in urls]


def _measure(scaled: Scaled, requests: Sequence[Request], rounds: int, seconds: float) -> Scaled:
    for request in requests:
        load(request, _CONNECTIONS, 1)  # Whatever is slow the first time only.
    for _ in range(rounds):
        for request, rates in zip(requests, (scaled.one, scaled.two), strict=True):
            rates.append(load(request, _CONNECTIONS, seconds).rate)
    return scaled


@contextmanager
def _gateways(suite: Suite, service: str) -> Iterator[list[str]]:
    """URLs of a gateway in front of one replica of the service and of one in front of two; other services are those
    of the suite."""
    local = LocalSettings(var=suite.var, port_base=suite.port_base)
    others = {f"{name}_addresses": (_endpoint(local.address(name)),) for name in _SERVICES}
    role = {"DEPLOY_ROLE": "api"} if service == "deploy" else {}
    with tempfile.TemporaryDirectory(prefix="kreplicas") as folder, ExitStack() as stack:
        started = [stack.enter_context(replica(suite, service, offset, **role)) for offset in _OFFSETS]
        urls = []
        for count in (1, 2):
            here = Path(folder) / str(count)
            here.mkdir()
            addresses = tuple(_endpoint(one.address) for one in started[:count])
            config = settings(here, 0, **others | {f"{service}_addresses": addresses}, health_check_seconds=2.0)
            urls.append(stack.enter_context(running(config, here, concurrency=2)).url)
        for one in started:
            # Only now: what a start takes is not what is measured.
            stack.enter_context(quota(one.pid, CORES))
        yield urls


def _endpoint(address: str) -> Endpoint:
    host, _, port = address.rpartition(":")
    return Endpoint(host, int(port))
