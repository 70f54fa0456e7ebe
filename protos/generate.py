"""Builds everything that comes from the protos: typed Python stubs, and the descriptor set of the gateway.

Output goes to the git-ignored folder `gen/`; run by `make protos`.
"""

import sys
from importlib.resources import files
from pathlib import Path

import google.rpc
from grpc_tools import protoc

ROOT = Path(__file__).parent
OUT = ROOT.parent / "gen"
GOOGLEAPIS = Path(next(iter(google.rpc.__path__))).parents[1]
INCLUDES = [f"-I{path}" for path in (ROOT, files("grpc_tools") / "_proto", GOOGLEAPIS)]


def descriptor_set(sources: list[str], target: Path, *extra_includes: str) -> int:
    """Write one file with the descriptors of `sources`, their imports and comments; returns protoc's exit code."""
    return int(
        protoc.main(
            [
                "protoc",
                *extra_includes,
                *INCLUDES,
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
    """Generate everything; returns protoc's exit code."""
    OUT.mkdir(exist_ok=True)
    sources = sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("kontena/**/*.proto"))
    stubs = [
        f"--{kind}_out={'quiet:' if 'mypy' in kind else ''}{OUT}"
        for kind in ("python", "grpc_python", "mypy", "mypy_grpc")
    ]
    return int(protoc.main(["protoc", *INCLUDES, *stubs, *sources])) or descriptor_set(
        sources, OUT / "descriptors.binpb"
    )


if __name__ == "__main__":
    sys.exit(main())
