"""An attribute of a service goes the whole way: read, stored, shown, sent to the node, made part of the container.

A forgotten spot fails here.
"""

from collections.abc import Iterable
from dataclasses import fields
from typing import Any

import pytest
from google.protobuf.json_format import ParseDict

from agent.runtime.config import NodeIdentity, container_config
from kontena.deploy.v1 import assignment_pb2, service_pb2
from services.deploy_svc.convert.assignments import pod_to_proto
from services.deploy_svc.convert.service_spec import attributes_from_proto
from services.deploy_svc.convert.services import service_to_proto
from services.deploy_svc.domain import pod
from services.deploy_svc.domain.service_input import ATTRIBUTES, parse
from services.deploy_svc.domain.service_spec import ServiceSpec
from services.deploy_svc.domain.service_update import merge, new_spec
from services.deploy_svc.domain.service_view import ServiceView, Surroundings
from services.deploy_svc.store.jsonb import SPEC, to_json
from services.kernel.errors import ValidationFailed
from tests.support.cluster import make_service

MINIMAL: dict[str, Any] = {"name": "web", "image": "app", "stateful": False}

# What a client writes to get something else than the default.
EXAMPLES: dict[str, Any] = {
    "image": "other:1",
    "stateful": True,
    "instances": 2,
    "strategy": "daemon",
    "user": "root",
    "cmd": ["sleep", "9"],
    "entrypoint": "/bin/sh -c",
    "env": ["A=1"],
    "secrets": [{"secret": "S", "name": "N"}, {"secret": "S", "type": "file", "mode": "0400", "uid": 1000}],
    "certificates": [{"subject": "S", "name": "N"}],
    "ports": [{"node_port": 80, "container_port": 8080}],
    "links": [{"name": "db", "alias": "db"}],
    "affinity": ["label==a"],
    "spread": "zone",
    "max_per_node": 2,
    "deploy_opts": {"wait_for_port": 80, "parallelism": 3, "order": "start_first"},
    "volumes": ["/data"],
    "volumes_from": ["other-%s"],
    "cpus": 0.5,
    "cpu_shares": 512,
    "memory": 1024,
    "memory_swap": 2048,
    "shm_size": 4096,
    "privileged": True,
    "cap_add": ["NET_ADMIN"],
    "cap_drop": ["MKNOD"],
    "net": "host",
    "log_driver": "syslog",
    "log_opts": {"tag": "a"},
    "devices": ["/dev/fuse"],
    "pid": "host",
    "read_only": True,
    "hooks": {"post_start": [{"name": "a", "cmd": "b", "instances": "*"}]},
    "health_check": {"protocol": "http", "port": 80},
    "stop_signal": "SIGQUIT",
    "stop_grace_period": 20,
    "ulimits": {"nofile": {"soft": 1024, "hard": 2048}},
    "labels": {"com.example.team": "a"},
    "tmpfs": ["/run:size=64m"],
    "sysctls": {"net.core.somaxconn": 1024},
    "init": True,
    "extra_hosts": ["db.test:10.0.0.1"],
    "dns_servers": ["10.0.0.53"],
    "working_dir": "/srv",
    "group_add": ["audio"],
    "configs": [{"config": "C", "mode": "0440"}],
}
FIXED_ON_CREATE = {"stateful"}
# Answers never had them (docs/spec/deploy_rest.md section 4.2).
HIDDEN = {"privileged", "devices"}
# What decides where and how often to run it; values of the vault travel beside the pod.
NOT_FOR_NODES = {
    "instances", "strategy", "links", "affinity", "spread", "max_per_node", "secrets", "certificates", "configs",
}  # fmt: skip
# What the agent acts on by itself, beside the container.
NOT_FOR_THE_ENGINE = {"deploy_opts", "hooks", "stateful"}
# Members of a request that are no attribute of the spec.
OTHER_MEMBERS = {"name", "stack", "force", "container_count", "replicas", "dns"}

NAMES = [field.name for field in fields(ServiceSpec)]
OPTIONAL = [name for name in NAMES if not ATTRIBUTES[name].required]


def read(body: dict[str, Any], *, creating: bool, mask: Iterable[str] = ()) -> Any:
    """As REST clients write it, or gRPC callers with an update mask."""
    nulls = {name for name, value in body.items() if value is None}
    nulls |= {f"{name}.{inner}" for name, value in body.items() if isinstance(value, dict) for inner in value}
    fields = (body.keys() - nulls) | set(mask)
    return parse(attributes_from_proto(ParseDict(body, service_pb2.ServiceSpec()), fields, nulls), creating=creating)


def spec_with(name: str) -> ServiceSpec:
    return new_spec(read({**MINIMAL, name: EXAMPLES[name]}, creating=True))


def shown(spec: ServiceSpec) -> service_pb2.Service:
    service = make_service(**{name: getattr(spec, name) for name in NAMES})
    return service_to_proto(ServiceView(service, Surroundings(service.grid, spec.links, spec.affinity)))


def sent(spec: ServiceSpec) -> assignment_pb2.Pod:
    service = make_service(**{name: getattr(spec, name) for name in NAMES})
    return pod_to_proto(pod.build(service, 1, "n1"))


PLAIN = new_spec(read(MINIMAL, creating=True))


def test_requests_have_the_attributes_of_the_spec_and_the_examples_are_complete() -> None:
    assert set(service_pb2.ServiceSpec.DESCRIPTOR.fields_by_name) - OTHER_MEMBERS == set(NAMES) == set(EXAMPLES)


@pytest.mark.parametrize("name", NAMES)
def test_it_is_read(name: str) -> None:
    created = getattr(spec_with(name), name)
    assert created != getattr(PLAIN, name)
    updated = getattr(merge(PLAIN, read({name: EXAMPLES[name]}, creating=False)), name)
    assert updated == (getattr(PLAIN, name) if name in FIXED_ON_CREATE else created)


def empty(name: str) -> Any:
    """What a client writes to take an attribute back: the default, where it is not null, or nothing of its kind."""
    default = getattr(PLAIN, name)
    if name == "deploy_opts":
        return dict.fromkeys(EXAMPLES[name])
    if default is None:
        return {int: 0, float: 0, str: "", dict: {}}[type(EXAMPLES[name])]
    return list(default) if isinstance(default, tuple) else default


@pytest.mark.parametrize("name", OPTIONAL)
def test_it_is_taken_back(name: str) -> None:
    before = spec_with(name)
    after = merge(before, read({name: empty(name)}, creating=False))
    assert not getattr(after, name) or getattr(after, name) == getattr(PLAIN, name)
    assert sent(after) == sent(PLAIN), "0 is no limit"
    assert getattr(new_spec(read({**MINIMAL, name: empty(name)}, creating=True)), name) == getattr(after, name)
    assert merge(before, read({}, creating=False, mask=[name])) == PLAIN


@pytest.mark.parametrize("name", NAMES)
def test_null_says_nothing(name: str) -> None:
    before = spec_with(name)
    assert merge(before, read({name: None}, creating=False)) == before


@pytest.mark.parametrize("name", ["image", "net", "strategy", "stop_grace_period"])
def test_what_is_never_without_a_value_is_not_taken_back_by_an_empty_text(name: str) -> None:
    with pytest.raises(ValidationFailed):
        read({name: ""}, creating=False)


def test_a_mask_cannot_take_back_what_is_required() -> None:
    with pytest.raises(ValidationFailed) as refused:
        read({}, creating=False, mask=["image"])
    assert refused.value.errors == {"image": "Image can't be nil"}


@pytest.mark.parametrize("name", NAMES)
def test_it_is_stored(name: str) -> None:
    spec = spec_with(name)
    stored = to_json(SPEC, spec)
    assert stored[name] != to_json(SPEC, PLAIN).get(name)
    assert SPEC.validate_python(stored) == spec


@pytest.mark.parametrize("name", NAMES)
def test_it_is_shown_or_hidden_on_purpose(name: str) -> None:
    assert (shown(spec_with(name)) == shown(PLAIN)) is (name in HIDDEN)


@pytest.mark.parametrize("name", NAMES)
def test_it_is_sent_to_the_node_or_not_for_nodes(name: str) -> None:
    assert (sent(spec_with(name)) == sent(PLAIN)) is (name in NOT_FOR_NODES)


@pytest.mark.parametrize("name", NAMES)
def test_it_makes_another_container(name: str) -> None:
    node = NodeIdentity("n1", "node-1", "g")
    made, plain = (
        container_config(assignment_pb2.Assignment(pod=sent(spec)), node) for spec in (spec_with(name), PLAIN)
    )
    assert (made == plain) is (name in NOT_FOR_NODES | NOT_FOR_THE_ENGINE)
