"""docs/architecture.md names files, folders and RPCs: they are there."""

import re

from tests.support.pages import ROOT, tracked

PAGE = (ROOT / "docs/architecture.md").read_text()
NAMES = re.findall(r"`([^`\n]+)`", PAGE)


def rpcs() -> set[str]:
    """`Service/Method` of every proto."""
    found: set[str] = set()
    for path in tracked("*.proto"):
        services = re.findall(r"^service (\w+) \{(.*?)^\}", (ROOT / path).read_text(), re.MULTILINE | re.DOTALL)
        for service, body in services:
            found |= {f"{service}/{method}" for method in re.findall(r"^  rpc (\w+)", body, re.MULTILINE)}
    return found


def test_every_name_is_a_file_or_an_rpc() -> None:
    named = [name for name in NAMES if "/" in name and not name.startswith("GET ")]
    assert len(named) > 40
    known = rpcs()
    assert [name for name in named if name not in known and not (ROOT / name).exists()] == []


def test_every_part_is_in_the_drawing() -> None:
    drawing = PAGE.split("```mermaid")[1].split("```")[0]
    parts = {path.split("/")[1] for path in tracked("services/*_svc/app.py")} | {"gateway", "agent", "exec_bridge"}
    assert [part for part in sorted(parts) if part not in drawing] == []


def test_the_readme_leads_here() -> None:
    assert "docs/architecture.md" in (ROOT / "README.md").read_text()
