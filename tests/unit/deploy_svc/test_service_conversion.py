"""Between messages and domain: any message is converted, and an answer sent back changes nothing."""

from datetime import UTC, datetime
from typing import Any

from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.struct_pb2 import ListValue, Struct, Value
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kontena.deploy.v1 import service_pb2 as pb
from services.deploy_svc.convert.service_spec import attributes_from_proto
from services.deploy_svc.convert.services import around, joined, part, service_to_proto
from services.deploy_svc.domain.service import Service
from services.deploy_svc.domain.service_input import parse
from services.deploy_svc.domain.service_spec import ServiceSpec
from services.deploy_svc.domain.service_update import host_name_problems, merge, new_spec, problems
from services.deploy_svc.domain.service_view import ServiceView, ShownService, Surroundings
from services.deploy_svc.store.jsonb import SPEC, to_json
from services.kernel.errors import DomainError

NOW = datetime(2026, 1, 1, tzinfo=UTC)

values = st.recursive(
    st.none()
    | st.booleans().map(lambda flag: Value(bool_value=flag))
    | st.floats().map(lambda number: Value(number_value=number))
    | st.sampled_from(["1m", "sh -c 'a b'", "'", "", "\0", "12"]).map(lambda text: Value(string_value=text))
    | st.text(max_size=5).map(lambda text: Value(string_value=text)),
    lambda inner: (
        st.lists(inner, max_size=3).map(
            lambda items: Value(list_value=ListValue(values=[item or Value(null_value=0) for item in items]))  # type: ignore[arg-type]
        )
        | st.dictionaries(
            st.sampled_from(["pre_start", "post_start", "name", "cmd", "instances", "type", "\0"]), inner, max_size=4
        ).map(
            lambda items: Value(
                struct_value=Struct(fields={key: item or Value(null_value=0) for key, item in items.items()})  # type: ignore[arg-type]
            )
        )
    ),
    max_leaves=8,
)
texts = st.text(max_size=6) | st.sampled_from(
    ["A=1", "A=", "A", "/data", "/a:/b:ro", "x:/y", "null/db", "db", "http", "host", "ha"]
)


def _field(field: Any) -> st.SearchStrategy[Any]:
    if field.message_type is not None:
        single = values if field.message_type.full_name == "google.protobuf.Value" else messages(field.message_type)
    else:
        single = {
            field.CPPTYPE_STRING: texts,
            field.CPPTYPE_BOOL: st.booleans(),
            field.CPPTYPE_DOUBLE: st.floats() | st.just(1024.0),
            field.CPPTYPE_INT32: st.integers(-(2**31), 2**31 - 1) | st.integers(-1, 100),
        }[field.cpp_type]
    return st.lists(single, max_size=3) if field.is_repeated else single


def messages(descriptor: Any) -> st.SearchStrategy[Any]:
    fields = {field.name: _field(field) for field in descriptor.fields}
    return st.fixed_dictionaries({}, optional=fields).map(
        lambda chosen: descriptor._concrete_class(
            **{name: value for name, value in chosen.items() if value is not None}
        )
    )


names = [field.name for field in pb.ServiceSpec.DESCRIPTOR.fields]
paths = st.frozensets(
    st.sampled_from([*names, "links!", "deploy_opts.min_health", "health_check.port", "health_check.protocol"])
)


def service(spec: ServiceSpec) -> Service:
    return Service(
        id="5" * 24, grid_id="a" * 24, grid="g1", stack="null", name="web", spec=spec, state="running", revision=1,
        stack_revision=None, restarts=0, deployed_at=None, created_at=NOW, updated_at=NOW,
    )  # fmt: skip


@settings(max_examples=100)
@given(messages(pb.ServiceSpec.DESCRIPTOR), paths, st.booleans())
def test_any_input_is_accepted_or_refused(message: pb.ServiceSpec, fields: frozenset[str], creating: bool) -> None:
    current = ServiceSpec(image="busybox", stateful=True, volumes=("/data",))
    try:
        found = parse(attributes_from_proto(message, fields), creating=creating, stack="shop")
    except DomainError:
        return
    spec = new_spec(found) if creating else merge(current, found)
    host_name_problems(found, "web", "shop.g1.kontena.local")
    if problems(spec, found, None if creating else current):
        return
    assert SPEC.validate_python(to_json(SPEC, spec)) == spec
    assert "\0" not in str(to_json(SPEC, spec))


words = st.text("abcXYZ 01/-_.:%ä", min_size=1, max_size=8).filter(lambda text: text.strip() != "")
word_lists = st.lists(words, max_size=3)
numbers = st.integers(0, 1024)
link = st.fixed_dictionaries({"name": st.sampled_from(["db", "null/db", "other/db", "shop/db"]), "alias": words})
hook = st.fixed_dictionaries(
    {"name": words, "cmd": words, "instances": st.sampled_from(["*", "1", "1, 2"])}, optional={"oneshot": st.booleans()}
)
# Hooks are identified by type and name.
hooks = st.lists(hook, max_size=3, unique_by=lambda item: str(item["name"]).strip())
health = st.fixed_dictionaries(
    {"protocol": st.sampled_from(["http", "tcp"]), "port": st.integers(1, 65535)},
    optional={"uri": words, "timeout": st.integers(0, 10), "interval": st.integers(10, 99), "initial_delay": numbers},
)
variables = st.builds("{}={}".format, st.sampled_from("ABC"), words | st.just(""))
bodies = st.fixed_dictionaries(
    {"name": st.just("web"), "image": words, "stateful": st.booleans()},
    optional={
        "instances": numbers,
        "strategy": st.sampled_from(["ha", "daemon", "random"]),
        "user": words,
        "cmd": word_lists,
        "entrypoint": words | st.lists(words, min_size=1, max_size=2),
        "env": st.lists(variables, max_size=5),
        "secrets": st.lists(st.fixed_dictionaries({"secret": words, "name": words}), max_size=2),
        "ports": st.lists(
            st.fixed_dictionaries(
                {"node_port": numbers, "container_port": st.integers(1, 99)},
                optional={"ip": st.sampled_from(["10.0.0.1", "::1"])},
            ),
            max_size=3,
            unique_by=lambda port: port["node_port"],
        ),
        "links": st.lists(link, max_size=3),
        "affinity": word_lists,
        "spread": st.sampled_from(["", "zone"]),
        "max_per_node": st.integers(0, 5),
        "deploy_opts": st.fixed_dictionaries(
            {}, optional={"wait_for_port": numbers, "min_health": st.floats(0, 1) | st.none(), "interval": numbers}
        ),
        "volumes": st.lists(st.sampled_from(["/data", "/a:/b", "/a:/b:ro", "/a:/b:ro:z"]), max_size=3),
        "cpus": st.floats(0, 64),
        "cpu_shares": numbers,
        "memory": numbers,
        "memory_swap": numbers,
        "privileged": st.booleans(),
        "cap_add": word_lists,
        "net": st.sampled_from(["bridge", "host", "container:web-1"]),
        "log_driver": words,
        "log_opts": st.dictionaries(words, words | numbers, max_size=2),
        "devices": word_lists,
        "pid": st.just("host"),
        "read_only": st.booleans(),
        "hooks": st.fixed_dictionaries({}, optional={"pre_start": hooks, "post_start": hooks, "pre_stop": hooks}),
        "health_check": health | st.just({"protocol": "exec", "cmd": ["a", ""], "timeout": 3}),
        "ulimits": st.just({"nofile": 1024, "core": {"soft": 0, "hard": -1}}),
        "labels": st.dictionaries(words, words | numbers, max_size=2),
        "tmpfs": st.just(["/run", "/x:size=1m"]),
        "sysctls": st.just(["net.core.somaxconn=1"]),
        "init": st.booleans(),
        "extra_hosts": st.just(["a:::1"]),
        "dns": st.sampled_from([["10.0.0.1"], "::1"]),
        "working_dir": st.just("/srv"),
        "group_add": st.just(["1000"]),
        "stop_signal": st.sampled_from(["SIGTERM", "9"]),
        "stop_grace_period": st.sampled_from(["1m23.5s", 7, "30"]),
    },
)


def _no_contradiction(body: dict[str, Any]) -> bool:
    most = body.get("max_per_node") or body.get("instances", 1)
    return body.get("strategy") != "daemon" or (not body.get("spread") and body.get("instances", 1) <= most)


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(bodies.filter(_no_contradiction), st.sampled_from([(), ("label==x",)]))
def test_an_answer_sent_back_changes_nothing(body: dict[str, Any], default: tuple[str, ...]) -> None:
    spec = new_spec(parse(attributes_from_proto(ParseDict(body, pb.ServiceSpec()), _fields(body)), creating=True))
    made, others = service(spec), Surroundings("g1", spec.links, spec.affinity or default)
    shown = service_to_proto(ServiceView(made, others))
    assert pb.Service.FromString(joined(ShownService(made.id, part(made), around(others)))) == shown
    again = MessageToDict(shown, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
    message = ParseDict(again, pb.ServiceSpec(), ignore_unknown_fields=True)
    sent_back = parse(attributes_from_proto(message, _fields(again)), creating=False, stack="null")
    assert merge(spec, sent_back, default) == spec
    assert problems(spec, sent_back, spec) == {}


def _fields(body: dict[str, Any]) -> frozenset[str]:
    nested = {f"{name}.{key}" for name, value in body.items() if isinstance(value, dict) for key in value}
    return frozenset(body) | nested
