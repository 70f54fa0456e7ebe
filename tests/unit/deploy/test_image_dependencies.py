"""Each image has the packages that its programs load, and its lock is the only list of them."""

import re
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[3]
# Loads programs as their image does, without running them, where the modules that are named first do not exist.
LOAD = """
import importlib, sys
hidden = set(sys.argv[1].split(","))
class Hide:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in hidden:
            raise ModuleNotFoundError(f"the image has no {name}", name=name)
sys.meta_path.insert(0, Hide())
for name in sys.argv[2:]:
    importlib.import_module(name)
"""


@pytest.mark.parametrize(
    ("image", "programs"),
    [
        ("agent", ["agent.__main__"]),
        (
            "suite",
            [
                *(f"services.{name}.__main__" for name in ("auth_svc", "grid_svc", "deploy_svc", "vault_svc")),
                "gateway.__main__",
                "gateway.exec_bridge.__main__",
                "deploy.roles",
            ],
        ),
    ],
)
def test_the_lock_of_an_image_has_what_its_programs_load(image: str, programs: list[str]) -> None:
    lock = (REPOSITORY / f"requirements-{image}.txt").read_text()
    locked = {_normal(name) for name in re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^]]*])?==", lock, re.MULTILINE)}
    hidden = [
        module for module, owners in packages_distributions().items() if not locked & {_normal(name) for name in owners}
    ]
    command = [sys.executable, "-c", LOAD, ",".join(hidden), *programs]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
