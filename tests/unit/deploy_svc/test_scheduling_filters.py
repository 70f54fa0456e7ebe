"""Filters, affinity grammar and instance totals (docs/spec/orchestration.md sections 1.2, 1.4, 1.5)."""

import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from services.deploy_svc.domain.scheduling.affinity_rule import InvalidRule, parse, substitute
from services.deploy_svc.domain.scheduling.explain import CannotPlace
from services.deploy_svc.domain.scheduling.pipeline import Scheduler, effective_affinity
from services.deploy_svc.domain.scheduling.snapshot import MemorySample, NodeView, Recorded
from services.deploy_svc.domain.service import Service
from services.deploy_svc.domain.service_spec import Port, ServiceSpec

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
MIB = 1024 * 1024


def service(**spec: Any) -> Service:
    built = ServiceSpec(image="app", stateful=False, **spec)
    return Service("s1", "g1", "g", "stack", "web", built, "running", 1, None, 0, None, EPOCH, EPOCH)


def nodes(count: int = 3, **fields: Any) -> list[NodeView]:
    return [NodeView(f"n-{number}", f"n-{number}", number, **fields) for number in range(1, count + 1)]


def survivors(subject: Service, candidates: list[NodeView], *rules: str, number: int = 1) -> set[str]:
    """Every node the filters would accept, found by taking away the chosen one until nothing is left."""
    kept: set[str] = set()
    left = list(candidates)
    while left:
        try:
            kept.add(Scheduler(subject, left, tuple(rules)).schedule(number).name)
        except CannotPlace:
            break
        left = [node for node in left if node.name not in kept]
    return kept


def one(subject: Service, candidates: list[NodeView], *rules: str, number: int = 1) -> str:
    return Scheduler(subject, candidates, tuple(rules)).schedule(number).name


@pytest.mark.parametrize(
    ("rule", "key", "negated", "soft", "value"),
    [
        ("label==gpu", "label", False, False, "gpu"),
        ("node!=~a", "node", True, True, "a"),
        ("label==az=a", "label", False, False, "az=a"),
        ("label==~ a ", "label", False, True, " a "),
        ("container==web-%s", "container", False, False, "web-7"),
        ("node==%d%%%i%x", "node", False, False, "7%7%x"),
    ],
)
def test_rules_are_understood(rule: str, key: str, negated: bool, soft: bool, value: str) -> None:
    found = parse(rule, 7)
    assert (found.key, found.negated, found.soft, found.value) == (key, negated, soft, value)


@pytest.mark.parametrize(
    "rule",
    [
        "label=gpu",
        "gpu",
        "",
        "==x",
        "label==",
        "label==a==b",
        "Label==a",
        "zone==a",
        "node==/(/",
        "node==/(?=a)/",
        r"node==/(a)\1/",
    ],
)
def test_malformed_rules_are_named(rule: str) -> None:
    with pytest.raises(InvalidRule):
        parse(rule, 1)
    with pytest.raises(CannotPlace, match=r"g/stack/web-1"):
        one(service(), nodes(), rule)


@pytest.mark.parametrize(
    "pattern", ["(x+x+)+y", "((x|xx)|(x|xx))*y", "(x|x|x){1,90}y", "(x*)*(x*)*(x*)*y", "^(([a-z])+.)+y"]
)
def test_no_regex_takes_more_than_linear_time(pattern: str) -> None:
    """Each of these takes a backtracking engine longer than anybody lives."""
    rule = parse(f"label==/{pattern}/", 1)
    began = time.process_time()
    assert not rule.matches(["x" * 20_000])
    assert time.process_time() - began < 1.0


def test_a_regex_whose_automaton_would_be_huge_is_refused() -> None:
    for pattern in ("((a{1,100}){1,100}){1,100}", "(a|" * 100):
        with pytest.raises(InvalidRule, match=r"wrong regular expression|too long"):
            parse(f"label==/{pattern}/", 1)


def test_unknown_sequences_pass_through() -> None:
    assert substitute("100%-%z-%s", 3) == "100%-%z-3"


def test_soft_rules_prefer_but_never_empty() -> None:
    plain = nodes()
    assert survivors(service(), plain, "label==~gpu") == {"n-1", "n-2", "n-3"}
    gpu = [plain[0], replace(plain[1], labels=("gpu",)), plain[2]]
    assert one(service(), gpu, "label==~gpu") == "n-2"


def test_a_soft_rule_sees_what_the_hard_one_left() -> None:
    first = NodeView("1", "1", 1, labels=("ssd",))
    second = NodeView("2", "2", 2, labels=("gpu",))
    assert one(service(), [first, second], "label==ssd", "label==~gpu") == "1"


def test_regexes_search_anywhere() -> None:
    assert survivors(service(), nodes(), "node!=/^n-(2|3)$/") == {"n-1"}
    assert survivors(service(), nodes(), "node==/-[23]/") == {"n-2", "n-3"}
    labelled = [replace(node, labels=(f"rack=r{node.number}",)) for node in nodes()]
    assert survivors(service(), labelled, "label==/rack=r[12]/") == {"n-1", "n-2"}


def recorded(number: int, name: str, container: str | None = None) -> NodeView:
    return NodeView(f"n-{number}", f"n-{number}", number, recorded=(Recorded("other", name, 1, container=container),))


def test_service_rules_mean_the_own_stack() -> None:
    candidates = [recorded(1, "stack/db"), recorded(2, "other/db"), recorded(3, "stack/cache")]
    assert survivors(service(), candidates, "service==db") == {"n-1"}
    assert survivors(service(), candidates, "service==other/db") == {"n-2"}
    assert survivors(service(), candidates, "service==/^(db|cache)$/") == {"n-1", "n-3"}
    assert survivors(service(), candidates, r"service==/^other\/d/") == {"n-2"}
    assert survivors(service(), candidates, "service!=db") == {"n-2", "n-3"}


def test_container_rules_use_live_names_and_the_instance_number() -> None:
    candidates = [recorded(1, "stack/db", "stack.db-1"), recorded(2, "stack/db", "stack.db-2"), recorded(3, "stack/db")]
    assert one(service(), candidates, "container==stack.db-%s", number=2) == "n-2"


def test_the_refused_rule_and_nodes_are_named() -> None:
    with pytest.raises(CannotPlace) as error:
        one(service(), nodes(7), "label==gpu")
    assert str(error.value) == (
        "Cannot place g/stack/web-1: the affinity filter left no node; "
        "affinity refused n-1, n-2, n-3, n-4, n-5 and 2 more: rule label==gpu"
    )


def test_own_rules_replace_those_of_the_grid() -> None:
    assert effective_affinity(service(), ("label==a",)) == ("label==a",)
    assert effective_affinity(service(affinity=("label==b",)), ("label==a",)) == ("label==b",)


def test_draining_nodes_take_nothing() -> None:
    with pytest.raises(CannotPlace, match=r"g/stack/web-1: the availability filter left no node.*n-1.*drain"):
        one(service(), nodes(1, availability="drain"))


PORTS = (Port(80, 8080),)


def test_a_port_is_taken_whatever_its_protocol() -> None:
    other = Recorded("other", "stack/proxy", 1, node_ports=frozenset({80}))
    with pytest.raises(CannotPlace, match="port 80 taken by stack/proxy"):
        one(service(ports=(Port(80, 53, protocol="udp"),)), [NodeView("n", "n", 1, recorded=(other,))])


def test_any_free_port_is_never_taken() -> None:
    anywhere = service(ports=(Port(0, 8080),))
    assert anywhere.spec.node_ports == frozenset()
    scheduler = Scheduler(anywhere, [NodeView("n", "n", 1)])
    for number in (1, 2):
        assert scheduler.schedule(number).name == "n"
        scheduler.reserve("n", number)


def test_another_instance_of_the_same_service_holds_its_port() -> None:
    own = Recorded("s1", "stack/web", 2, node_ports=frozenset({80}))
    with pytest.raises(CannotPlace):
        one(service(ports=PORTS), [NodeView("n", "n", 1, recorded=(own,))], number=1)


def test_an_instance_never_conflicts_with_itself() -> None:
    own = Recorded("s1", "stack/web", 1, node_ports=frozenset({80}))
    node = NodeView("n", "n", 1, mem_total=1, recorded=(own,))
    assert one(service(ports=PORTS, memory=512 * MIB), [node]) == "n"


def test_cores() -> None:
    assert survivors(service(cpus=1.5), [*nodes(2, cpus=1), NodeView("big", "big", 9, cpus=2)]) == {"big"}
    with pytest.raises(CannotPlace, match=r"cpu refused n-1: 1 cores, 1.5 are needed"):
        one(service(cpus=1.5), nodes(1, cpus=1))


def test_memory() -> None:
    need = 512 * MIB
    small = NodeView("small", "small", 1, mem_total=256 * MIB)
    silent = NodeView("silent", "silent", 2, mem_total=1024 * MIB)
    busy = NodeView("busy", "busy", 3, mem_total=1024 * MIB, memory=MemorySample(0, 100 * MIB, 100 * MIB, 0))
    free = NodeView("free", "free", 4, mem_total=1024 * MIB, memory=MemorySample(0, 200 * MIB, 200 * MIB, 112 * MIB))
    assert survivors(service(memory=need), [small, silent, busy, free]) == {"silent", "free"}
    assert survivors(service(memory_swap=need), [small, silent]) == {"silent"}
    assert survivors(service(), [small, silent]) == {"small", "silent"}
    with pytest.raises(CannotPlace, match="512 MiB"):
        one(service(memory=need), [small])


def test_daemon_totals_shrink_to_the_nodes_that_fit() -> None:
    candidates = [replace(node, labels=("fit",)) if node.number < 3 else node for node in nodes()]
    assert len(Scheduler(service(strategy="daemon", instances=3), candidates, ("label==fit",)).numbers()) == 6
    assert len(Scheduler(service(strategy="ha", instances=3), candidates, ("label==fit",)).numbers()) == 3
    assert len(Scheduler(service(strategy="daemon"), candidates, ("label==none",)).numbers()) == 0
    assert len(Scheduler(service(strategy="daemon"), candidates, ("malformed",)).numbers()) == 0
    assert len(Scheduler(service(strategy="daemon", instances=0), candidates).numbers()) == 0


def test_daemon_totals_count_nodes_that_only_one_number_may_use() -> None:
    assert len(Scheduler(service(strategy="daemon"), nodes(), ("node==n-%s",)).numbers()) == 3
    held = [
        replace(node, recorded=(Recorded("s1", "stack/web", node.number, node_ports=frozenset({80})),))
        for node in nodes()
    ]
    assert len(Scheduler(service(strategy="daemon", ports=PORTS), held).numbers()) == 3


def test_ha_uses_only_fitting_nodes() -> None:
    candidates = [replace(node, labels=("fit",)) if node.number < 3 else node for node in nodes()]
    scheduler = Scheduler(service(instances=3), candidates, ("label==fit",))
    assert {scheduler.schedule(number).name for number in (1, 2, 3)} == {"n-1", "n-2"}
