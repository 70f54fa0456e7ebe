"""Refuses changes of the protos that break clients of the last release, which CHANGELOG.md names with its commit.

`BREAKING_AGAINST` names another commit to compare with. Nothing to compare with is a failure: an unchecked change must
not look like a compatible one.
"""

import os
import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from protos.generate import OUT, ROOT, descriptor_set

_RELEASE = re.compile(r"^## (?P<version>\S+), commit (?P<commit>[0-9a-f]{40})$", re.MULTILINE)


def last_release(changelog: str) -> str:
    """The commit of the newest release of the changelog. Raises ValueError when it names none."""
    release = _RELEASE.search(changelog)
    if release is None:
        raise ValueError("CHANGELOG.md names no release as `## <version>, commit <40 hex digits>`")
    return release["commit"]


def main() -> int:
    """0 when clients of the release go on to work, else the exit code of what failed."""
    base = os.environ.get("BREAKING_AGAINST") or last_release((ROOT.parent / "CHANGELOG.md").read_text())
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "protos.tar"
        if subprocess.run(["git", "archive", "-o", archive, base, "protos"], cwd=ROOT.parent, check=False).returncode:  # noqa: S603, S607
            print(f"The protos cannot be compared: this clone lacks the commit {base}. Fetch the whole history.")  # noqa: T201
            return 1
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter="data")
        before = Path(folder) / "protos"
        sources = sorted(str(path.relative_to(before)) for path in before.glob("kontena/**/*.proto"))
        image = Path(folder) / "before.binpb"
        if code := descriptor_set(sources, image, root=before):
            return code
        buf = Path(sys.executable).with_name("buf")
        command: list[str | Path] = [
            *(buf, "breaking", OUT / "descriptors.binpb"),
            *("--against", image, "--config", ROOT / "buf.yaml"),
        ]
        return subprocess.run(command, check=False).returncode  # noqa: S603


if __name__ == "__main__":
    sys.exit(main())
