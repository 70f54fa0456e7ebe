"""`make bench` in small: everything it compares can be measured, and the page is written."""

from pathlib import Path

import pytest

from tests.bench import floors, floors_page, report
from tests.bench.__main__ import PARTS, Plan, run
from tests.bench.ours import Ours
from tests.bench.replicas import CORES
from tests.support.engine import Engine
from tests.support.suite import Suite

WORK = "get a service"


@pytest.mark.heavy
def test_the_benchmark_runs_and_writes_its_page(suite: Suite, suite_engine: Engine, tmp_path: Path) -> None:
    plan = Plan(
        1,
        1,
        connections=(1, 16),
        sizes=(),
        works={WORK},
        deploys=(1,),
        rest_seconds=0.2,
        only=(*PARTS[:3], "replicas"),
    )
    ours = Ours(suite)
    try:
        found = run(ours, suite_engine, plan)
    finally:
        ours.clear()
    assert not found.sections.failed
    assert {row.subject: row.work for row in found.rows} == dict.fromkeys(("floor", "ours", "Swarm"), WORK)
    assert all(row.cost() > 0 for row in found.rows)
    compared = {"Swarm", "Engine API, side by side", "Engine API, on a network"}
    assert found.deploys[1].keys() == {"ours", *compared}
    assert [(scaled.work, scaled.answers) for scaled in found.replicas] == [(WORK, "deploy_svc")]
    text = report.markdown(found)
    assert "| get a service" in text
    assert f"| two of deploy_svc, each with {CORES:g} cores: {WORK}" in text
    assert [one.title for one in found.commands if one.cpu] == [
        "kctl --help",
        "kctl ps",
        "completion of the name of a node",
    ]
    report.plots(found, tmp_path)
    assert {path.suffix for path in tmp_path.iterdir()} == {".png"}


@pytest.mark.heavy
def test_variants_of_the_floor_answer_and_the_page_is_written(suite: Suite) -> None:
    ours = Ours(suite)
    try:
        found = floors.run(ours, floors.SHORT)
    finally:
        ours.clear()
    assert {one.variant.name for one in found} == set(floors.SHORT.only)
    assert all(share > 0 for share in floors_page.of_floor(found).values())
    text = floors_page.markdown(found, floors.SHORT.rounds, floors.SHORT.seconds)
    assert all(f"| {name}" in text for name in floors.SHORT.only)
