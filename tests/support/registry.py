"""A real image registry on loopback, with or without logins."""

import json
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

import pytest

from tests.support.engine import Engine
from tests.support.ports import free_port

USER = "puller"
PASSWORD = "registry-pass"
# bcrypt of PASSWORD: nothing else is understood by the registry.
_HTPASSWD = f"{USER}:$2y$05$abcdefghijklmnopqrstuuPjvWZA9Te8qmmwSCy0c40HUw16Nv/I6\n"
_CONFIG = """version: 0.1
storage:
  filesystem: {{rootdirectory: {folder}/images}}
http: {{addr: "{address}"}}
log: {{level: warn}}
"""
_AUTH = "auth:\n  htpasswd: {{realm: test, path: {folder}/htpasswd}}\n"


@contextmanager
def silent_registry() -> Iterator[str]:
    """The address of a registry that takes connections and never says a word. Whoever waits for it fails with the end
    of the block."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


class Registry:
    """`with Registry(folder, login=True) as registry:` serves at `registry.address`. Skips the test where the program
    is not installed, or fails when KONTENA_REQUIRE_DOCKER is set."""

    def __init__(self, folder: Path, *, login: bool) -> None:
        self.address = f"127.0.0.1:{free_port()}"
        self._folder = folder
        self._login = login
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Registry":
        if shutil.which("docker-registry") is None:
            if os.environ.get("KONTENA_REQUIRE_DOCKER"):
                pytest.fail("docker-registry is not installed (package docker-registry)")
            pytest.skip("docker-registry is not installed (package docker-registry)")
        self._folder.mkdir(parents=True, exist_ok=True)
        text = _CONFIG + (_AUTH if self._login else "")
        (self._folder / "config.yml").write_text(text.format(folder=self._folder, address=self.address))
        (self._folder / "htpasswd").write_text(_HTPASSWD)
        auth = b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        (self._folder / "config.json").write_text(json.dumps({"auths": {self.address: {"auth": auth}}}))
        with (self._folder / "registry.log").open("wb") as log:
            command = ["docker-registry", "serve", str(self._folder / "config.yml")]
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        self._wait_until_up()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Nothing answers any more."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def push(self, engine: Engine, name: str, marker: str) -> str:
        """Put a busybox image with this marker under `name` (repo:tag); returns its full name. What the engine itself
        has under the name stays as it was."""
        tag = f"{self.address}/{name}"
        kept = f"kept/{name}"
        had = self._docker(engine, "tag", tag, kept)
        engine.import_busybox(tag, marker)
        assert self._docker(engine, "push", "-q", tag), "the push failed"
        self._docker(engine, "rmi", tag)
        if had:
            self._docker(engine, "tag", kept, tag)
            self._docker(engine, "rmi", kept)
        return tag

    def _docker(self, engine: Engine, *words: str) -> bool:
        env = {**os.environ, "DOCKER_HOST": engine.host, "DOCKER_CONFIG": str(self._folder)}
        return subprocess.run(["docker", *words], env=env, capture_output=True, check=False).returncode == 0

    def _wait_until_up(self) -> None:
        deadline = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(f"http://{self.address}/v2/", timeout=10).close()
            except urllib.error.HTTPError as error:
                error.close()
                return
            except OSError:
                ended = self._process is None or self._process.poll() is not None
                if ended or time.monotonic() > deadline:
                    raise AssertionError((self._folder / "registry.log").read_text()) from None
                time.sleep(0.05)
            else:
                return
