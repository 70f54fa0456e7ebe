"""The wheel: it holds the command line, the client library and the stubs, and runs without the source tree."""

import configparser
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from tests.support.suite import REPOSITORY


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = ["uv", "build", "-q", "--offline", "--wheel", "--no-build-isolation", "--python", sys.executable]
    subprocess.run([Path(sys.executable).with_name("uv"), *build[1:], "-o", folder, "cli"], cwd=REPOSITORY, check=True)
    [wheel] = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def test_it_runs_without_the_source_tree(unpacked: Path) -> None:
    [entry_points] = unpacked.glob("*.dist-info/entry_points.txt")
    found = configparser.ConfigParser()
    found.read(entry_points)
    assert dict(found["console_scripts"]) == dict.fromkeys(("kctl", "kontena-ctl"), "kontena_ctl.main:main")
    program = (
        f"import sys; sys.path = [p for p in sys.path if {str(REPOSITORY)!r} not in p or '.venv' in p];"
        f"sys.path.insert(0, {str(unpacked)!r});"
        "import kontena_client.rpc, kontena_client.exec, kontena.deploy.v1.service_pb2_grpc;"
        "from kontena_ctl.main import run; code = run(['version', '-o', 'json']);"
        "print({name.partition('.')[0] for name, m in sys.modules.items() if name.startswith('kontena')"
        f" and getattr(m, '__file__', None) and not m.__file__.startswith({str(unpacked)!r})}}, code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=unpacked,
        env={"HOME": str(unpacked), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    version = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["version"]
    assert f'"client": "{version}"' in done.stdout
    assert done.stdout.splitlines()[-1] == "set() 0", "nothing of the source tree was loaded"


def test_it_asks_for_what_the_suite_locks() -> None:
    """One list of what it needs: the extra `cli` of the suite, which is locked, and that of the wheel."""
    suite = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    wheel = tomllib.loads((REPOSITORY / "cli/pyproject.toml").read_text())["project"]
    assert wheel["dependencies"] == suite["optional-dependencies"]["cli"]
    assert set(wheel["optional-dependencies"]["grpc"]) <= set(suite["dependencies"])
