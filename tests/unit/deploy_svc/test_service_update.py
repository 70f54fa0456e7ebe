"""What a PUT makes of a stored spec (docs/spec/deploy_rest.md sections 4.3 to 4.6)."""

from dataclasses import replace
from typing import Any

import pytest

from services.deploy_svc.domain.service_elements import merge_env
from services.deploy_svc.domain.service_input import parse
from services.deploy_svc.domain.service_spec import DeployOpts, HealthCheck, Hook, Link, Port, ServiceSpec
from services.deploy_svc.domain.service_update import host_name_problems, merge, new_spec, problems
from services.deploy_svc.domain.volume import Mount

WEB = ServiceSpec(image="busybox:1", stateful=False)


def put(spec: ServiceSpec, body: dict[str, Any], affinity: tuple[str, ...] = ()) -> ServiceSpec:
    return merge(spec, parse(body, creating=False), affinity)


@pytest.mark.parametrize(
    ("current", "given", "expected"),
    [
        (("FOO=1", "BAR=2"), ("FOO=",), ("FOO=1",)),
        ((), ("FOO=",), ("FOO=",)),
        (("FOO=1",), ("FOO=2",), ("FOO=2",)),
        (("A=1",), ("B=1", "A=2", "B=3"), ("B=3", "A=2")),
        (("A=x=y",), ("A=",), ("A=x=y",)),
        (("A=1", "A=2"), ("A=2",), ("A=1", "A=2")),
        (("A=1", "B=2"), ("B=2", "A=1"), ("B=2", "A=1")),
        (("A=1",), (), ()),
    ],
)
def test_env_is_replaced_and_empty_values_keep_the_current_one(
    current: tuple[str, ...], given: tuple[str, ...], expected: tuple[str, ...]
) -> None:
    assert merge_env(current, given) == expected


@pytest.mark.parametrize("body", [{}, {"links": None}, {"image": "busybox:1"}, {"name": "other"}, {"stateful": True}])
def test_what_is_not_given_or_fixed_stays(body: dict[str, Any]) -> None:
    spec = replace(WEB, links=(Link("null", "db", "db"),), env=("A=1",))
    assert put(spec, body) == spec


@pytest.mark.parametrize(
    ("body", "changed"),
    [
        ({"links": []}, {"links": ()}),
        ({"ports": []}, {"ports": ()}),
        ({"privileged": True}, {"privileged": True}),
        ({"instances": 0}, {"instances": 0}),
        ({"pid": "host"}, {"pid": "host"}),
        ({"entrypoint": "/x"}, {"entrypoint": "/x"}),
    ],
)
def test_what_is_given_replaces(body: dict[str, Any], changed: dict[str, Any]) -> None:
    spec = replace(WEB, links=(Link("null", "db", "db"),))
    assert put(spec, body) == replace(spec, **changed)


def test_deploy_options_merge_and_null_clears_one() -> None:
    spec = replace(WEB, deploy_opts=DeployOpts(wait_for_port=80, min_health=0.5, interval=60))
    assert put(spec, {"deploy_opts": {"wait_for_port": None}}).deploy_opts == DeployOpts(None, 0.5, 60)
    assert put(spec, {"deploy_opts": {}}) == spec


def test_a_null_share_of_healthy_instances_is_stored_on_create() -> None:
    body = {"name": "a", "image": "b", "stateful": False}
    assert new_spec(parse(body, creating=True)).deploy_opts.min_health == 0.8
    given = parse({**body, "deploy_opts": {"min_health": None}}, creating=True)
    assert new_spec(given).deploy_opts.min_health is None


def test_health_check_defaults_return_and_the_path_stays() -> None:
    first = put(WEB, {"health_check": {"protocol": "http", "port": 80}})
    assert first.health_check == HealthCheck("http", 80, "/", 10, 10, 60)
    second = put(first, {"health_check": {"protocol": "http", "port": 81, "uri": "/up", "timeout": 3}})
    assert second.health_check == HealthCheck("http", 81, "/up", 3, 10, 60)
    third = put(second, {"health_check": {"protocol": "http", "port": 81}})
    assert third.health_check == HealthCheck("http", 81, "/up", 10, 10, 60)
    assert put(third, {"health_check": {"port": None, "protocol": None}}).health_check is None


def test_hooks_match_by_name_and_type() -> None:
    spec = replace(WEB, hooks=(Hook("post_start", "a", "x", "1", oneshot=True),))
    shown = [{"name": "a", "type": "post_start", "cmd": "x", "oneshot": True}]
    assert put(spec, {"hooks": shown}) == spec
    assert put(spec, {"hooks": [{**shown[0], "type": "pre_start"}]}).hooks[0].instances == "*"
    assert put(spec, {"hooks": {}}).hooks == ()
    assert put(spec, {"hooks": []}).hooks == ()


def test_the_shown_default_affinity_of_the_grid_is_not_frozen() -> None:
    assert put(WEB, {"affinity": ["label==a"]}, ("label==a",)) == WEB
    assert put(WEB, {"affinity": ["label==b"]}, ("label==a",)).affinity == ("label==b",)


@pytest.mark.parametrize(
    ("body", "keys"),
    [
        ({"strategy": "best"}, ["strategy"]),
        ({"health_check": {"protocol": "tcp", "port": 1, "interval": 5, "timeout": 6}}, ["health_check"]),
        ({"health_check": {"protocol": "tcp", "port": 1, "interval": 6, "timeout": 6}}, []),
        ({"volumes": ["data:/x"]}, ["volumes"]),
        ({"volumes": ["foo"]}, ["volumes"]),
        ({"volumes": ["/data:foo"]}, ["volumes"]),
        ({"volumes": ["foo:bar"]}, ["volumes"]),
        ({"volumes": ["/a", "/b:/c:ro"]}, []),
        ({"volumes_from": ["db-%s"]}, []),
    ],
)
def test_rules_over_several_attributes(body: dict[str, Any], keys: list[str]) -> None:
    given = parse(body, creating=False)
    assert list(problems(merge(WEB, given), given, WEB)) == keys


def test_a_stateful_service_takes_no_volumes_of_others_and_no_new_anonymous_volume() -> None:
    stateful = replace(WEB, stateful=True, volumes=("/data", "/a:/b"))
    given = parse({"volumes_from": ["x"], "volumes": ["/data", "/more", "/c:/d"]}, creating=False)
    found = problems(merge(stateful, given), given, stateful)
    assert list(found) == ["volumes_from", "volumes"]
    assert len(found["volumes"]) == 1
    kept = parse({"volumes": []}, creating=False)
    assert problems(merge(stateful, kept), kept, stateful) == {}


def test_placement_rules_can_be_taken_back() -> None:
    ruled = merge(WEB, parse({"spread": "zone", "max_per_node": 2}, creating=False))
    assert (ruled.spread, ruled.max_per_node) == ("zone", 2)
    assert merge(ruled, parse({"spread": "", "max_per_node": 0}, creating=False)) == WEB


def test_rules_that_contradict_a_daemon_are_refused() -> None:
    given = parse({"strategy": "daemon", "instances": 2, "spread": "zone", "max_per_node": 1}, creating=False)
    assert problems(merge(WEB, given), given, WEB) == {
        "spread": "A daemon runs on every node, so there is nothing to spread: leave it empty",
        "max_per_node": "A daemon of 2 instances has as many on each node: set instances lower",
    }
    given = parse({"strategy": "daemon", "instances": 1, "max_per_node": 1}, creating=False)
    assert problems(merge(WEB, given), given, WEB) == {}


def test_start_first_is_refused_with_the_attribute_that_forbids_it() -> None:
    volumes = {
        "own": Mount("own", "1", "own", "instance", "local"),
        "shared": Mount("shared", "2", "s", "grid", "local"),
    }
    first = replace(WEB, deploy_opts=DeployOpts(order="start_first"))
    nothing = parse({}, creating=False)
    for spec, words in [
        (replace(first, stateful=True), "stateful is set"),
        (replace(first, net="host"), "net is host"),
        (replace(first, net="container:other"), "net is container:other"),
        (replace(first, ports=(Port(80, 8080), Port(443, 8443))), "ports publishes 80, 443"),
        (replace(first, volumes=("own:/a", "shared:/b")), "volumes mounts own, which belongs to one instance"),
        (replace(first, volumes=("/srv:/srv", "/etc:/etc:ro")), "volumes mounts /srv of the node to write"),
        (replace(first, stateful=True, net="host"), "stateful is set; net is host"),
    ]:
        (error,) = problems(spec, nothing, spec, volumes)["deploy_opts"].values()
        assert error.startswith("start_first needs room for two containers of an instance: ")
        assert words in error
        assert problems(replace(spec, deploy_opts=DeployOpts(order="stop_first")), nothing, spec, volumes) == {}
    free = replace(first, volumes=("/anonymous", "shared:/b", "/etc:/etc:ro,z"))
    assert problems(free, nothing, free, volumes) == {}


@pytest.mark.parametrize(("name", "fits"), [("a" * 43, True), ("a" * 44, False)])
def test_instance_names_fit_into_a_host_name(name: str, fits: bool) -> None:
    given = parse({"instances": 10}, creating=False)
    # 43 + "-10." + "grid.kontena.local" is 65 with one more character.
    assert (host_name_problems(given, name[1:], "grid.kontena.local") == {}) is fits
