"""The migrations of each service follow one another in one line: two that take the same number or the same predecessor
would leave out one of them, or end every start with two heads."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from services.kernel.schema import revisions

SERVICES = Path(__file__).resolve().parents[3] / "services"
FOLDERS = sorted(SERVICES.glob("*/migrations/versions"))


def _links(file: Path) -> dict[str, str | None]:
    """What a migration says of itself, read without running it."""
    found = {}
    for statement in ast.parse(file.read_text()).body:
        match statement:
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=value)
                | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value)
            ) if name in {"revision", "down_revision"}:
                found[name] = ast.literal_eval(value)
    return found


def test_every_service_is_looked_at() -> None:
    assert [folder.parts[-3] for folder in FOLDERS] == ["auth_svc", "deploy_svc", "grid_svc", "vault_svc"]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: str(folder.parts[-3]))
def test_the_migrations_of_a_service_form_one_line(folder: Path) -> None:
    files = sorted(file for file in folder.glob("*.py") if file.name != "__init__.py")
    before: str | None = None
    for number, file in enumerate(files, 1):
        links = _links(file)
        assert file.name.startswith(f"{number:04}_"), f"{file.name}: the next free number is {number:04}"
        assert links["down_revision"] == before, f"{file.name}: does not follow the one before it"
        before = links["revision"]
        assert before is not None
        assert before[:4] == f"{number:04}", f"{file.name}: its revision has another number"
    assert revisions(folder.parent) == [_links(file)["revision"] for file in reversed(files)]


@pytest.mark.parametrize("service", [folder.parts[-3] for folder in FOLDERS])
def test_what_serves_loads_neither_what_migrates_nor_what_colours(service: str) -> None:
    unwanted = {"alembic", "click", "pygments", "rich", "sqlalchemy.orm"}
    loaded = f"import sys, services.{service}.__main__; print({unwanted} & sys.modules.keys() or '')"
    done = subprocess.run([sys.executable, "-c", loaded], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == ""
