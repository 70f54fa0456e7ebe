"""Builds everything that comes from the protos: typed Python stubs, and the descriptor set of the gateway.

Output goes to the git-ignored folder `gen/`; run by `make protos`.
"""

import sys
import tempfile
from importlib.resources import files
from pathlib import Path

import google.rpc
from grpc_tools import protoc

ROOT = Path(__file__).parent
OUT = ROOT.parent / "gen"
GOOGLEAPIS = Path(next(iter(google.rpc.__path__))).parents[1]
LIBRARIES = [f"-I{path}" for path in (files("grpc_tools") / "_proto", GOOGLEAPIS)]


def descriptor_set(sources: list[str], target: Path, root: Path = ROOT) -> int:
    """Write one file with the descriptors of `sources`, their imports and comments; returns protoc's exit code."""
    return int(
        protoc.main(
            [
                "protoc",
                f"-I{root}",
                *LIBRARIES,
                "--include_imports",
                "--include_source_info",
                f"--descriptor_set_out={target}",
                *sources,
                # Travels only packed inside google.rpc.Status.details, so nothing imports it.
                "google/rpc/error_details.proto",
            ]
        )
    )


def main() -> int:
    """Generate everything; returns protoc's exit code. The old output is replaced in one move at the end."""
    sources = sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("kontena/**/*.proto"))
    with tempfile.TemporaryDirectory(dir=ROOT.parent, prefix="gen.") as folder:
        fresh = Path(folder) / "gen"
        fresh.mkdir()
        code = _stubs(sources, fresh) or descriptor_set(sources, fresh / "descriptors.binpb")
        if code == 0:
            if OUT.exists():
                OUT.rename(Path(folder) / "old")
            fresh.rename(OUT)
    return code


def _stubs(sources: list[str], target: Path) -> int:
    plugins = ("python", "grpc_python", "mypy", "mypy_grpc")
    options = [f"--{plugin}_out={'quiet:' if 'mypy' in plugin else ''}{target}" for plugin in plugins]
    return int(protoc.main(["protoc", f"-I{ROOT}", *LIBRARIES, *options, *sources]))


if __name__ == "__main__":
    sys.exit(main())
