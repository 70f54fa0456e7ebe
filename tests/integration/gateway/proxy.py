"""Runs a real Envoy with the rendered configuration on free loopback ports."""

import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from gateway.render import write
from gateway.settings import REPOSITORY, Endpoint, GatewaySettings
from tests.support.admin import admin_client
from tests.support.ports import free_port


@dataclass(frozen=True)
class Gateway:
    """A running gateway."""

    settings: GatewaySettings

    @property
    def target(self) -> str:
        return f"127.0.0.1:{self.settings.port}"

    @property
    def url(self) -> str:
        return f"{'https' if self.settings.tls_cert_file else 'http'}://{self.target}"

    def admin(self, path: str) -> str:
        with admin_client(self.settings.admin_socket) as client:
            return client.get(path).raise_for_status().text

    def counter(self, name: str) -> int:
        lines = [line for line in self.admin(f"/stats?filter={name}").splitlines() if line.partition(":")[0] == name]
        return sum(int(line.rpartition(":")[2]) for line in lines)

    def healthy(self) -> bool:
        """True when every address of a service has passed its health check."""
        hosts = [
            host["health_status"]
            for cluster in json.loads(self.admin("/clusters?format=json")).get("cluster_statuses", [])
            if cluster["name"] in self.settings.upstreams
            for host in cluster["host_statuses"]
        ]
        return len(hosts) >= len(self.settings.upstreams) and all(set(host) == {"eds_health_status"} for host in hosts)

    def access_log(self) -> list[dict[str, Any]]:
        lines = Path(self.settings.access_log_path).read_text().splitlines()
        return [json.loads(line) for line in lines if line.endswith("}")]


def eventually(check: Callable[[], object], what: str, seconds: float = 60.0) -> None:
    """Wait until `check` is true. One that asserts or looks up what is not there yet, or meets an error of the network,
    is asked again; the last reason is told."""
    deadline = time.monotonic() + seconds
    last: object = None
    while time.monotonic() < deadline:
        try:
            last = check()
            if last:
                return
        except (AssertionError, LookupError, ValueError, httpx.HTTPError, OSError) as error:
            last = error
        time.sleep(0.02)
    raise AssertionError(f"not within {seconds} s: {what}; last: {last!r}")


def settings(folder: Path, upstream: int, **changes: object) -> GatewaySettings:
    """Settings of a gateway in `folder` whose services all live on the port `upstream`."""
    endpoint = (Endpoint("127.0.0.1", upstream),)
    values: dict[str, Any] = {
        **{f"{name}_addresses": endpoint for name in ("auth", "grid", "deploy", "vault")},
        "port": free_port(),
        # The folders of tests have long names.
        "admin_socket": Path(tempfile.mkdtemp(prefix="kgw")) / "admin.sock",
        "access_log_path": str(folder / "access.log"),
        "health_check_seconds": 0.2,
    }
    return GatewaySettings(**{**values, **changes})


@contextmanager
def running(
    config: GatewaySettings, folder: Path, concurrency: int = 1, change: Callable[[Path], None] | None = None
) -> Iterator[Gateway]:
    """Envoy with `config`, from when it and its upstreams are healthy until the block ends. `change` may edit what was
    rendered into the folder."""
    target, log = folder / "envoy.json", folder / "envoy.log"
    write(config, target)
    if change is not None:
        change(folder)
    command = [sys.executable, "-m", "gateway.envoy", str(target), "--concurrency", str(concurrency)]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, "--file-flush-interval-msec", "20"], cwd=REPOSITORY, stdout=output, stderr=output
        )
    gateway = Gateway(config)
    try:
        eventually(lambda: process.poll() is not None or gateway.healthy(), f"envoy and its upstreams, see {log}")
        assert process.poll() is None, log.read_text()
        yield gateway
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(5)
        shutil.rmtree(config.admin_socket.parent, ignore_errors=True)
