"""What builds of the images take from the network: a base, and wheels."""

import os
import subprocess
import tempfile
from pathlib import Path

import deploy.wheels

PYTHON = "3.11"  # That of Debian 12, which the base is made of.
_RELEASE = "bookworm"
_INCLUDE = "--include=python3,python3-venv,ca-certificates,iproute2,iptables"
_SOURCES = Path("/etc/apt")


def base() -> Path:
    """A Debian with Python as an archive, from the package source of this machine; kept in the user's cache, as it
    takes a minute."""
    cached = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "kontena-tests" / f"base-{_RELEASE}.tar"
    if cached.is_file():
        return cached
    cached.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="kbase") as folder:
        root, partial = Path(folder) / "root", cached.with_suffix(f".{os.getpid()}")
        words = ["debootstrap", "--variant=minbase", _INCLUDE, _RELEASE, str(root), *_package_source()]
        made = subprocess.run(words, capture_output=True, text=True, timeout=900, check=False)
        assert made.returncode == 0, f"{words}: {made.stdout[-2000:]} {made.stderr[-2000:]}"
        subprocess.run(["tar", "-C", root, "--exclude=./var/cache/apt/archives/*.deb", "-cf", partial, "."], check=True)
        partial.replace(cached)
    return cached


def _package_source() -> list[str]:
    """Where apt takes Debian's own packages from here; nothing where that cannot be told, for the usual source."""
    for path in sorted(_SOURCES.glob("sources.list*")) + sorted(_SOURCES.glob("sources.list.d/*")):
        text = path.read_text() if path.is_file() else ""
        words = [word for line in text.splitlines() if not line.startswith("#") for word in line.split()]
        if found := [word for word in words if "://" in word and word.rstrip("/").endswith("/debian")]:
            return found[:1]
    return []


def wheels() -> int:
    """The locked wheels for the Python of the base; the exit code of pip."""
    return deploy.wheels.main(PYTHON)
