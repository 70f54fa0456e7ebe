"""The whole suite as a user gets it: a clean copy of the tree, `make up`, and a REST client."""

import contextlib
import os
import shutil
import ssl
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import httpx
import psutil

from tests.support.leaks import SecretValues, leaks
from tests.support.pebble import Ports, certificate_of_server
from tests.support.ports import free_block

PROCESSES = ("auth_svc", "grid_svc", "deploy_svc", "vault_svc", "engine", "exec_bridge", "gateway", "agent")
REPOSITORY = Path(__file__).resolve().parents[2]
# Told from an api by its argument.
_ENGINE = "services.deploy_svc engine"
T = TypeVar("T")
# Read once: it takes twenty times as long as a request.
_TRUST = ssl.create_default_context()


def soon(fact: Callable[[], T | None], *, within: float = 90.0, message: str = "") -> T:
    """Poll `fact` until it returns something truthy; fails with the last reason.

    A fact that asserts, unpacks or looks up what is not there yet is asked again.
    """
    deadline = time.monotonic() + within
    last: object = None
    while True:
        begun = time.monotonic()
        try:
            found = fact()
            if found:
                return found
            last = found
        except (AssertionError, LookupError, ValueError, httpx.TransportError) as error:
            last = error
        if time.monotonic() > deadline:
            raise AssertionError(f"{message or 'not true'} within {within} s; last: {last!r}")
        # Who waits leaves the machine to what is waited for.
        time.sleep(min(0.5, max(0.05, 2 * (time.monotonic() - begun))))


@dataclass
class Api:
    """REST calls with a token; every answer is checked for its status."""

    url: str
    token: str
    grid: str
    # Shared by all clients of the test run: they talk to one suite.
    secrets: ClassVar[SecretValues] = SecretValues()

    def request(self, method: str, path: str, body: Any = None, **options: Any) -> httpx.Response:
        """Send a request; the caller looks at the status."""
        headers = {"Accept": "application/json", **options.pop("headers", {})}
        if self.token:
            headers.setdefault("Authorization", f"Bearer {self.token}")
        if body is not None:
            options["json"] = body
        answer = self.send(method, f"{self.url}{path}", headers=headers, **options)
        self.secrets.note(path, body)
        if answer.is_success and answer.headers.get("content-type", "").startswith("application/json"):
            self.secrets.note(path, answer.json())
        return answer

    def send(self, method: str, url: str, **options: Any) -> httpx.Response:
        """A connection for each request, as scripts do it."""
        return httpx.request(method, url, **{"timeout": 60, "verify": _TRUST, **options})

    def call(self, method: str, path: str, body: Any = None, *, status: int = 200) -> dict[str, Any]:
        """Send a request, expect `status`, return the JSON answer."""
        answer = self.request(method, path, body)
        assert answer.status_code == status, f"{method} {path}: {answer.status_code} {answer.text}"
        document: dict[str, Any] = answer.json()
        return document

    def deployed(self, service: str, deploy: dict[str, Any], within: float = 240.0) -> dict[str, Any]:
        """Wait for the end of a deploy."""

        def ended() -> dict[str, Any] | None:
            found = self.call("GET", f"/v1/services/{service}/deploys/{deploy['id']}")
            return found if "finished_at" in found else None

        return soon(ended, within=within, message=f"deploy of {service} ends")

    def deploy(self, service: str, body: Any = None) -> dict[str, Any]:
        """Deploy and expect success."""
        deploy = self.deployed(service, self.call("POST", f"/v1/services/{service}/deploy", body or {}))
        assert deploy["state"] == "success", deploy
        return deploy


class Suite:
    """A copy of the repository that was brought up with `make up` on ports of its own.

    Its vault_svc asks the ACME server on the ports `acme`, which runs only while a test needs it.
    """

    def __init__(self, folder: Path, docker_host: str) -> None:
        self.folder = folder
        self.var = folder / "var"
        base = free_block(30)
        self.env = {
            **{name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ},
            **{name: value for name, value in os.environ.items() if name.startswith(("UV_", "PIP_", "SSL_"))},
            "DOCKER_HOST": docker_host,
            "KONTENA_PORT": str(base + 29),
            "KONTENA_PORT_BASE": str(base),
            "KONTENA_NODE_NAME": "local-node",
            "KONTENA_STATS_SECONDS": "3",
            # In memory on every machine, so that the agent mounts nothing that stays.
            "KONTENA_FILES_DIR": f"/dev/shm/kontena-test-{base}",  # noqa: S108 -- of root only, by the agent.
            # Where tests have their fluentd.
            "LOG_TARGETS_ALLOWED": "127.0.0.1",
        }
        self.port_base = base
        self.acme = Ports(*range(base + 21, base + 25), http=80, tls=443)
        self.acme_folder = folder / "acme"
        certificate_of_server(self.acme_folder)
        self.env |= {
            "ACME_ENDPOINT": f"https://127.0.0.1:{self.acme.acme}/dir",
            "ACME_CA_FILE": str(self.acme_folder / "cert.pem"),
            "ACME_DNS_RESOLVER": f"127.0.0.1:{self.acme.dns}",
            "CERTIFICATE_RENEWAL_SECONDS": "1",
        }

    @property
    def database_url(self) -> str:
        """All schemas of the suite, as the superuser."""
        return f"postgresql://postgres:@/postgres?host={self.var / 'postgres'}"

    def metrics(self, offset: int) -> str:
        """What Prometheus gets at this port of the suite, counted from its base."""
        token = (self.var / "metrics-token").read_text()
        url = f"http://127.0.0.1:{self.port_base + offset}/metrics"
        return httpx.get(url, headers={"authorization": f"Bearer {token}"}).raise_for_status().text

    def copy_tree(self) -> None:
        """Copy what git knows or would add: a clean clone of the present state."""
        listed = subprocess.run(
            ["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=REPOSITORY, check=True, capture_output=True
        ).stdout.decode()
        for name in filter(None, listed.split("\0")):
            if (REPOSITORY / name).is_file():
                target = self.folder / name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(REPOSITORY / name, target)

    def borrow(self, folder: Path) -> None:
        """Use what was installed and generated in another copy, if it was."""
        for name in (".venv", "gen"):
            if (folder / name).is_dir():
                (self.folder / name).symlink_to(folder / name)

    def leaks(self) -> list[str]:
        """Where a secret value of the tests can be found in what the suite wrote: nowhere."""
        return leaks(Api.secrets, self.var, self.database_url)

    def make(self, target: str, timeout: float = 800) -> str:
        """Run a make target in the copy; returns its output."""
        done = subprocess.run(
            ["make", target],
            cwd=self.folder,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        assert done.returncode == 0, f"make {target}: {done.stdout}\n{done.stderr}\n{self.logs()}"
        return done.stdout

    def api(self) -> Api:
        """A client with only the values of `var/master.env`."""
        lines = (self.var / "master.env").read_text().splitlines()
        env = dict(line.split("=", 1) for line in lines)
        return Api(env["KONTENA_URL"], env["KONTENA_TOKEN"], env["KONTENA_GRID"])

    def logs(self) -> str:
        """The end of each log, for failures."""
        texts = [f"== {path.name}\n{path.read_text()[-3000:]}" for path in sorted(self.var.glob("logs/*.log"))]
        return "\n".join(texts)

    def pids(self, name: str) -> list[int]:
        """Process ids of one process of the suite, e.g. `deploy_svc`, its `engine`, `agent`, `gateway`. A child
        with the command line of its parent is about to become another program, and does not count."""
        others = {"gateway": "envoy.json", "exec_bridge": "-m gateway.exec_bridge", "agent": "-m agent"}
        words = {**others, "engine": _ENGINE}.get(name, f"services.{name}")
        found: dict[int, int] = {}
        for pid in psutil.pids():
            # It may be gone by now.
            with contextlib.suppress(OSError, psutil.NoSuchProcess):
                command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                engine = words != _ENGINE and _ENGINE in command
                if words in command and str(self.folder) in command and not engine:
                    found[pid] = psutil.Process(pid).ppid()
        return sorted(pid for pid, parent in found.items() if parent not in found)
