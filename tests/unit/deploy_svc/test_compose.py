"""What compose files become, seen in ten projects of different kinds (tests/support/stack_files)."""

import json
from typing import Any

import pytest

from services.deploy_svc.domain.rollout.in_flight import MOST_IN_FLIGHT, in_flight_limit
from services.deploy_svc.domain.stack_source import unpack
from tests.support.stack_sources import convert, converted, projects


def services(name: str, **more: Any) -> dict[str, dict[str, Any]]:
    """The services of a project by name."""
    made = converted("compose", name, **more).made
    assert made is not None
    return {service["name"]: service for service in made.document["services"]}


@pytest.mark.parametrize("name", projects("compose"))
def test_every_project_becomes_a_document_that_keeps_its_files(name: str) -> None:
    made = converted("compose", name).made
    assert made is not None
    files = {key: text for key, text in projects("compose")[name].items() if key != ".env"}
    kept, _ = unpack(made.document["source"], next(iter(files)))
    assert {key: text.strip() for key, text in kept.items()} == {key: text.strip() for key, text in files.items()}
    again = convert(kept, name=name, variables=made.document["variables"])
    assert again.made is not None, again.errors
    assert again.made.document["services"] == made.document["services"]


def test_variables_have_defaults_may_be_required_and_are_kept() -> None:
    made = converted("compose", "database", variables={"PASSWORD": "s3cret", "OTHER": "x"}).made
    assert made is not None
    assert made.document["variables"] == {"PASSWORD": "s3cret"}, "what is used and was given"
    assert services("database")["db"]["env"] == ["POSTGRES_DB=app", "POSTGRES_PASSWORD=s3cret"]
    missing = convert(projects("compose")["database"], variables={"PASSWORD": ""})
    assert missing.errors == {
        "services.db.environment.POSTGRES_PASSWORD": "The variable PASSWORD is required: choose one. Give it in "
        "`variables`, or in a file .env."
    }
    assert services("anchors")["one"]["image"] == "docker.io/busybox:1"
    assert services("anchors", variables={"FALLBACK": "alpine"})["one"]["image"] == "docker.io/alpine:1"


def test_the_request_wins_over_the_file_and_the_file_over_what_is_kept() -> None:
    text = "name: a\nservices: {web: {image: 'x:$A-$B-$C'}}"
    made = convert({"compose.yaml": text, ".env": "A=file\nB=file"}, variables={"A": 1}, kept={"B": "old", "C": "old"})
    assert made.made is not None
    assert made.made.document["services"][0]["image"] == "x:1-file-old"


def test_a_variable_that_is_not_set_is_told() -> None:
    outcome = convert("name: a\nservices: {web: {image: 'x$TAG'}}")
    (warning,) = outcome.warnings
    assert (warning.path, "TAG is not set" in warning.message) == ("services.web.image", True)


def test_data_makes_a_service_stateful_and_needs_a_volume_of_the_grid() -> None:
    made = converted("compose", "database").made
    assert made is not None
    assert made.volumes == [{"name": "database-data", "scope": "stack", "driver": "local"}]
    assert made.document["volumes"] == [{"name": "data", "external": "database-data"}]
    assert {name: item["stateful"] for name, item in services("database").items()} == {"db": True, "app": False}
    assert services("database")["db"]["tmpfs"] == ["/run/postgresql:size=67108864"]


def test_services_of_a_profile_are_there_when_it_is_asked_for() -> None:
    assert list(services("database")) == ["db", "app"]
    assert list(services("database", profiles=["tools"])) == list(services("database", profiles=["*"])) == [
        "db", "app", "adminer",
    ]  # fmt: skip


def test_what_a_swarm_deploys_becomes_rollout_options() -> None:
    vote, agent = services("swarm").values()
    assert (vote["instances"], agent["strategy"]) == (4, "daemon")
    assert vote["deploy_opts"] == {"parallelism": 2, "rollback": True, "min_health": 0.5}
    assert (vote["cpus"], vote["memory"], vote["affinity"]) == (0.5, 134217728, ["label==zone=a"])


def test_instances_are_spread_and_bounded_per_node() -> None:
    placement = "{preferences: [{spread: node.labels.zone}], max_replicas_per_node: 2}"
    made = convert(f"name: a\nservices: {{web: {{image: a, deploy: {{placement: {placement}}}}}}}").made
    assert made is not None
    (web,) = made.document["services"]
    assert (web["spread"], web["max_per_node"]) == ("zone", 2)


def test_a_successor_may_start_first() -> None:
    made = convert("name: a\nservices: {w: {image: x, deploy: {update_config: {order: start-first}}}}").made
    assert made is not None
    assert made.document["services"][0]["deploy_opts"] == {"order": "start_first"}


def test_one_at_a_time_stays_one_at_a_time() -> None:
    """Whatever the number of instances: the share is a fraction that was rounded."""
    text = "name: a\nservices: {w: {image: x, deploy: {replicas: %d, update_config: {parallelism: %d}}}}"
    for total in range(1, 30):
        for at_once in (0, 1, 2, 3, 7):
            made = convert(text % (total, at_once)).made
            assert made is not None
            share = made.document["services"][0]["deploy_opts"]["min_health"]
            wanted = min(at_once or total, total, MOST_IN_FLIGHT)
            assert in_flight_limit(total, share) == wanted, (total, at_once, share)


def test_every_way_to_publish_a_port() -> None:
    found = [
        (port.get("ip"), port["node_port"], port["container_port"], port.get("protocol"))
        for port in services("ports")["all"]["ports"]
    ]
    assert found == [
        (None, 0, 3000, None),
        *((None, 0, port, None) for port in (4000, 4001, 4002)),
        (None, 8000, 8000, None),
        (None, 9090, 8080, None),
        (None, 9091, 8081, None),
        ("127.0.0.1", 8001, 8001, None),
        ("::1", 8002, 8002, None),
        *(("127.0.0.1", port, port, None) for port in (5000, 5001, 5002)),
        (None, 6060, 6060, "udp"),
        (None, 22, 22, None),
        ("127.0.0.1", 1053, 53, "udp"),
    ]


def test_services_that_share_data_stay_on_one_node() -> None:
    outcome = converted("compose", "shared")
    found = services("shared")
    assert found["reader"]["affinity"] == ["service==writer"]
    assert found["reader"]["volumes"] == ["pool:/data:ro,nocopy"]
    assert [warning.path for warning in outcome.warnings] == ["services.reader.volumes"]
    assert (found["sidecar"]["volumes_from"], found["sidecar"]["net"]) == (["writer-%s"], "container:writer-%s")
    assert outcome.made is not None
    (volume,) = outcome.made.volumes
    assert volume["driver_opts"] == {"type": "tmpfs", "device": "tmpfs", "o": "size=10m"}


def test_files_go_over_one_another() -> None:
    api = services("layered")["api"]
    assert api["image"] == "example/api:2"
    assert api["cmd"] == ["serve", "--debug"], "commands are replaced"
    assert api["env"] == ["MODE=staging", "KEEP=1"], "mappings grow, lists of NAME=value too"
    assert [port["node_port"] for port in api["ports"]] == [9090], "!override"
    assert api["volumes"] == ["/opt/ssl:/etc/ssl:ro"], "one mount per path"
    assert "privileged" not in api, "!reset"
    assert list(services("layered")) == ["api", "extra"]
    assert services("layered", order=["compose.yaml"])["api"]["image"] == "example/api:1"


def test_services_extend_others_and_take_variables_from_files() -> None:
    found = services("project")
    assert found["web"]["env"] == [
        "PLAIN=value", "QUOTED=two words", "LITERAL=${QUEUE}", "REPLACED=mails", "FROM_MAIN=1", "FROM_BASE=1",
    ]  # fmt: skip
    assert found["web"]["init"] is True, "of the service that the extended one extends"
    assert found["worker"]["cmd"] == "work mails"
    assert "ports" not in found["worker"]


@pytest.mark.parametrize(
    ("test", "cmd"),
    [
        ("curl -f localhost || exit 1", ["/bin/sh", "-c", "curl -f localhost || exit 1"]),
        (["CMD-SHELL", "true && true"], ["/bin/sh", "-c", "true && true"]),
        (["CMD", "/bin/check", "-a b"], ["/bin/check", "-a b"]),
        (["NONE"], None),
    ],
)
def test_every_form_of_a_health_check(test: Any, cmd: Any) -> None:
    outcome = convert(f"name: a\nservices: {{web: {{image: x, healthcheck: {{test: {json.dumps(test)}}}}}}}")
    assert outcome.made is not None, outcome.errors
    check = outcome.made.document["services"][0].get("health_check")
    assert (check and check["cmd"]) == cmd
    assert check is None or (check["interval"], check["timeout"], check["initial_delay"]) == (30, 30, 0)


def test_times_of_a_health_check_fit_together() -> None:
    runner, quiet = services("hooks").values()
    assert (runner["health_check"]["interval"], runner["health_check"]["timeout"]) == (90, 90)
    assert "health_check" not in quiet
    assert runner["hooks"] == {"pre_stop": [{"name": "pre-stop-1", "cmd": "drain --wait", "instances": "*"}]}
    assert runner["stop_grace_period"] == 60


def test_what_reaches_the_node_is_passed_on_to_be_judged_there() -> None:
    exporter = services("observability")["exporter"]
    assert (exporter["net"], exporter["pid"], exporter["cap_add"]) == ("host", "host", ["SYS_TIME"])
    assert exporter["volumes"] == ["/:/host:ro,rslave", "/var/log:/var/log:ro"]
    assert exporter["devices"] == ["/dev/kmsg", "/dev/sda:/dev/xvda:r"]
    assert exporter["ulimits"] == {"nofile": {"soft": 20000, "hard": 40000}, "nproc": 512}


def test_what_compose_has_no_word_for_is_said_in_ours() -> None:
    text = """
name: a
services:
  web:
    image: x
    labels: {team: "1"}
    x-kontena:
      deploy: {wait_for_port: "${PORT:-80}", min_health: 0.5}
      secrets: [{secret: key, name: KEY}]
      labels: {tier: front}
"""
    made = convert(text).made
    assert made is not None
    (web,) = made.document["services"]
    assert web["deploy_opts"] == {"wait_for_port": 80, "min_health": 0.5}
    assert (web["secrets"], web["labels"]) == ([{"secret": "key", "name": "KEY"}], {"team": "1", "tier": "front"})
    assert made.secrets == [{"name": "key"}]


def test_a_network_that_keeps_nobody_apart_is_that_of_the_grid() -> None:
    text = """
name: a
services:
  web: {image: x, networks: [front, back]}
  db: {image: x, networks: {back: {aliases: [db]}}}
networks: {front: , back: {driver: bridge}, proxy: {external: true}}
"""
    outcome = convert(text)
    assert outcome.made is not None, outcome.errors
    assert [warning.path for warning in outcome.warnings] == ["networks.proxy"]
