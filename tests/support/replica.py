"""A second process of a service, beside the one of the running suite."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from deploy.local import probes
from deploy.local.processes import service_env
from deploy.local.settings import LocalSettings, load_secrets
from tests.support.suite import Suite, soon


@dataclass(frozen=True)
class Replica:
    """Where it serves, and its process."""

    address: str
    pid: int


@contextmanager
def replica(suite: Suite, name: str, offset: int, **changed: str) -> Iterator[Replica]:
    """Serves on the suite's database and port `offset`, `changed` in its environment, until the block ends."""
    settings = LocalSettings(var=suite.var, port=int(suite.env["KONTENA_PORT"]), port_base=suite.port_base)
    address = f"127.0.0.1:{suite.port_base + offset}"
    silent = {"METRICS_ADDRESS": "", "ENGINE_METRICS_ADDRESS": ""}
    copy = {"LISTEN_ADDRESS": address, "PYTHONPATH": f"{suite.folder}:{suite.folder}/gen"}
    env = {**service_env(settings, load_secrets(settings), name), **silent, **copy, **changed}
    command = [str(suite.folder / ".venv/bin/python"), "-m", f"services.{name}_svc"]
    process = subprocess.Popen(command, env=env, cwd=suite.folder, stderr=subprocess.DEVNULL)
    try:
        soon(lambda: probes.service_serves(address), message=f"the second {name}_svc serves")
        yield Replica(address, process.pid)
    finally:
        process.terminate()
        process.wait(60)
