"""The scrape configuration and the dashboard ask for what the running suite really shows."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from deploy.local.settings import WITH_METRICS
from tests.support.ports import free_port
from tests.support.suite import REPOSITORY, Api, Suite, soon

FOLDER = REPOSITORY / "deploy/monitoring"
DASHBOARD = json.loads((FOLDER / "grafana-dashboard.json").read_text())
QUERIES = [(panel["title"], target["expr"]) for panel in DASHBOARD["panels"] for target in panel.get("targets", [])]
ALERTS = [
    (rule["alert"], rule["expr"])
    for rule in yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"][0]["rules"]
    # Of a process that runs only where backups are scheduled.
    if rule["alert"] != "KontenaBackupOld"
]
SCRAPE = (FOLDER / "prometheus.yml").read_text()
WORDS = {
    "sum", "max", "rate", "increase", "topk", "time", "histogram_quantile", "by", "job", "up", "le", "service",
    "method", "code", "loop",
}  # fmt: skip
DEFAULT_BASE = 7400


def here(text: str, suite: Suite) -> str:
    """The addresses and the token of this copy of the suite instead of the default ones."""
    text = text.replace("../../var/", f"{suite.var}/")
    return re.sub(r"127\.0\.0\.1:74(\d\d)", lambda match: f"127.0.0.1:{suite.port_base + int(match[1])}", text)


def targets(suite: Suite) -> list[str]:
    return re.findall(r'targets: \["([\d.:]+)"\]', here(SCRAPE, suite))


@pytest.fixture(scope="module")
def shown(suite: Suite, api: Api) -> dict[str, set[str]]:
    """Metric names with the labels of their samples, of all targets."""
    assert api.request("GET", f"/v1/grids/{api.grid}/nodes").status_code == 200
    assert api.request("GET", f"/v1/grids/{api.grid}/secrets").status_code == 200
    found: dict[str, set[str]] = {}
    for target in targets(suite):
        text = suite.metrics(int(target.rpartition(":")[2]) - suite.port_base)
        for name, kind in re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE):
            for suffix in {"histogram": ("_bucket", "_sum", "_count")}.get(kind, ("",)):
                found.setdefault(name + suffix, set())
        for name, labels in re.findall(r"^([a-z]\w*)\{([^}]*)\}", text, re.MULTILINE):
            found.setdefault(name, set()).update(re.findall(r'(\w+)="', labels))
    return found


def test_every_process_is_scraped(suite: Suite) -> None:
    services = {"auth_svc", "grid_svc", "deploy_svc", "vault_svc"}
    assert all(f"service: {name}" in SCRAPE for name in services)
    assert len(targets(suite)) == len(services | {"engine", "gateway", "exec_bridge"})


@pytest.mark.parametrize(
    ("title", "query"), [*QUERIES, *ALERTS], ids=[f"{title}: {query[:40]}" for title, query in [*QUERIES, *ALERTS]]
)
def test_metrics_and_labels_of_dashboard_and_alerts_exist(shown: dict[str, set[str]], title: str, query: str) -> None:
    bare = re.sub(r'"[^"]*"|\[[^]]*\]', "", query)
    names = set(re.findall(r"\b[a-z_]{4,}\b", bare)) - WORDS
    metrics = {name for name in names if name in shown}
    labels = set(re.findall(r'(\w+)(?:=|!=|=~)"', query)) | {
        label for group in re.findall(r"by \(([^)]*)\)", query) for label in group.split(", ")
    }
    # Prometheus adds the last three itself.
    assert names - metrics - labels == set(), title
    samples = set().union(*(shown[name] for name in metrics)) | {"service", "job", "instance"}
    if any(shown[name] for name in metrics):
        assert labels <= samples, title


@pytest.fixture(scope="module")
def prometheus(suite: Suite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real Prometheus on the suite; its URL."""
    program = shutil.which("prometheus")
    if program is None:
        assert "KONTENA_REQUIRE_DOCKER" not in os.environ, "prometheus is not installed"
        pytest.skip("prometheus is not installed; the test above checks names without it")
    folder = tmp_path_factory.mktemp("prometheus")
    (folder / "prometheus.yml").write_text(
        here(SCRAPE, suite).replace("alerts.yml", str(FOLDER / "alerts.yml")).replace("15s", "1s").replace("10s", "1s")
    )
    port = free_port()
    words = [f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]
    process = subprocess.Popen([program, *words, f"--web.listen-address=127.0.0.1:{port}"], stderr=subprocess.DEVNULL)
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    process.wait(60)


def ask(url: str, query: str) -> list[Any]:
    answer = httpx.get(f"{url}/api/v1/query", params={"query": query})
    # 503 with plain text while it starts.
    assert answer.status_code == 200, answer.text
    result: list[Any] = answer.json()["data"]["result"]
    return result


def test_each_process_of_python_tells_how_long_its_collector_stopped_it(suite: Suite) -> None:
    silent = [
        name
        for number, name in enumerate(WITH_METRICS)
        if name not in {"gateway", "backup"} and "python_gc_pause_seconds_count" not in suite.metrics(11 + number)
    ]
    assert not silent


def test_prometheus_answers_every_query(suite: Suite, api: Api, prometheus: str) -> None:
    every = [str(len(targets(suite)))]
    # A busy machine may make one of them too late for a scrape, whose deadline is a second here.
    up = "sum(max_over_time(up[60s]))"
    soon(lambda: [row["value"][1] for row in ask(prometheus, up)] == every, within=120, message="all targets are up")
    # Some happen only when something goes wrong.
    rare = ("loop_failures_total", 'code!="OK"', 'class="5"')

    def empty() -> list[str]:
        api.request("GET", f"/v1/grids/{api.grid}/nodes")
        asked = {query: ask(prometheus, query.replace("$__rate_interval", "60s")) for _, query in QUERIES}
        return [query for query, rows in asked.items() if not rows and not any(word in query for word in rare)]

    soon(lambda: empty() == [], within=120, message="every query has an answer")
    assert Path(FOLDER / "prometheus.yml").is_file()
