"""`python -m deploy.wheels 3.13`: fetch the locked wheels of each image into `build/wheels-<image>`, hashes checked.

What was fetched for another Python or lock file is removed, so that an image holds what the lock says and no more.
"""

import platform
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
IMAGES = ("suite", "agent")
# Newest first; a wheel for an older C library fits as well.
_GLIBC = ("2_36", "2_34", "2_31", "2_28", "2_27", "2_26", "2_24", "2_17")


def main(version: str) -> int:
    """The exit code of pip; 0 when everything is there already."""
    for image in IMAGES:
        lock = ROOT / f"requirements-{image}.txt"
        target = ROOT / "build" / f"wheels-{image}"
        made_for = target / ".made-for"
        wanted = f"{version}\n{lock.read_text()}"
        if made_for.is_file() and made_for.read_text() == wanted:
            continue
        shutil.rmtree(target, ignore_errors=True)
        machine = platform.machine()
        platforms = [*(f"manylinux_{glibc}_{machine}" for glibc in _GLIBC), f"manylinux2014_{machine}"]
        command = [
            *(sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check", "--no-deps"),
            *("--require-hashes", "--only-binary=:all:", "--implementation", "cp", "--python-version", version),
            *(word for name in platforms for word in ("--platform", name)),
            *("-r", str(lock), "-d", str(target)),
        ]
        if code := subprocess.run(command, check=False).returncode:  # noqa: S603
            return code
        made_for.write_text(wanted)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
