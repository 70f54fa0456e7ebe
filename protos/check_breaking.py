"""Refuses changes of the protos that break clients of the commit before (`BREAKING_AGAINST`, default HEAD~1)."""

import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from protos.generate import OUT, ROOT, descriptor_set


def main() -> int:
    """0 when compatible or when there is nothing to compare with."""
    base = os.environ.get("BREAKING_AGAINST", "HEAD~1")
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "protos.tar"
        if subprocess.run(["git", "archive", "-o", archive, base, "protos"], cwd=ROOT.parent, check=False).returncode:  # noqa: S603, S607
            return 0
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter="data")
        before = Path(folder) / "protos"
        sources = sorted(str(path.relative_to(before)) for path in before.glob("kontena/**/*.proto"))
        image = Path(folder) / "before.binpb"
        if not sources or descriptor_set(sources, image, root=before):
            return 0
        buf = Path(sys.executable).with_name("buf")
        command: list[str | Path] = [
            buf,
            "breaking",
            OUT / "descriptors.binpb",
            "--against",
            image,
            "--config",
            ROOT / "buf.yaml",
        ]
        return subprocess.run(command, check=False).returncode  # noqa: S603


if __name__ == "__main__":
    sys.exit(main())
