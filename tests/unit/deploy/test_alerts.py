"""Alert rules fire when they should and only then: Prometheus itself says so. Each is on a page for operators."""

import os
import re
import shutil
import subprocess

import pytest

from tests.support.pages import ROOT, guide

FOLDER = ROOT / "deploy/monitoring"
ALERTS = re.findall(r"- alert: (\w+)", (FOLDER / "alerts.yml").read_text())
TESTS = sorted(path.name for path in FOLDER.glob("*.test.yml"))
TRIED = "\n".join((FOLDER / name).read_text() for name in TESTS)
GUIDE = guide()


def test_prometheus_finds_the_rules_right() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        assert "KONTENA_REQUIRE_DOCKER" not in os.environ, "prometheus is not installed"
        pytest.skip("prometheus is not installed")
    for words in (["check", "rules", "alerts.yml"], ["test", "rules", *TESTS]):
        done = subprocess.run([promtool, *words], cwd=FOLDER, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


@pytest.mark.parametrize("alert", ALERTS)
def test_each_alert_is_tried_and_explained(alert: str) -> None:
    assert re.search(rf"alertname: {alert}\n(.*\n)?(.*\n)? +exp_alerts:\n +- exp_labels", TRIED), "it fires"
    assert f"`{alert}`" in GUIDE
