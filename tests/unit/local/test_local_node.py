import json
from pathlib import Path

import pytest

from deploy.local.node import LocalNode, local_node
from deploy.local.settings import LocalSettings


@pytest.mark.parametrize(("runtime", "pretends"), [("docker", False), ("hollow", True)])
def test_a_node_that_pretends_is_known_by_what_its_agent_wrote_down(
    tmp_path: Path, runtime: str, pretends: bool
) -> None:
    (tmp_path / "agent").mkdir()
    (tmp_path / "agent/state.json").write_text(json.dumps({"node_id": "ABCD", "runtime": runtime}))
    assert local_node(LocalSettings(var=tmp_path)) == LocalNode("ABCD", pretends)


def test_nothing_is_known_before_its_first_start(tmp_path: Path) -> None:
    assert local_node(LocalSettings(var=tmp_path)) == LocalNode("", pretends=False)
