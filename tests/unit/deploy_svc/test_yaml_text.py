"""Reading YAML of strangers: what scalars mean, and that nothing grows beyond its budget."""

from typing import Any

import pytest

from services.deploy_svc.domain.findings import Findings, Place
from services.deploy_svc.domain.yaml_text import Budget, Tagged, TooLarge, read


def found(text: str, **more: Any) -> Any:
    findings = Findings()
    value = read(text, Place(findings, "file"), Budget(1000), **more)
    assert findings.errors == {}
    return value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("22:22", "22:22"), ("yes", "yes"), ("on", "on"), ("true", True), ("False", False), ("~", None), ("", None),
        ("12", 12), ("-3", -3), ("+4", 4), ("0400", 256), ("0o17", 15), ("0x1F", 31), ("089", 89), ("1.5", 1.5),
        (".5", 0.5), ("1e3", 1000.0), (".inf", ".inf"), (".nan", ".nan"), ("1e999", "1e999"), ("1_000", "1_000"),
        ("9" * 30, "9" * 30), ("2026-01-01", "2026-01-01"), ("'12'", "12"), ("!!str 12", "12"),
        ("!!int '7'", 7), ("|\n  a\n  b\n", "a\nb\n"), ("1.2.3", "1.2.3"), ("-", [None]), ("٣", "٣"),
    ],
)  # fmt: skip
def test_what_scalars_mean(text: str, value: Any) -> None:
    read_value = found(text)
    assert (type(read_value), read_value) == (type(value), value)


def test_anchors_and_merge_keys() -> None:
    text = "a: &a {x: 1, y: 1}\nb: &b {y: 2}\nc: {<<: [*b, *a], z: 3}\nd: {<<: *a, x: 9}"
    assert found(text)["c"] == {"x": 1, "y": 2, "z": 3}
    assert found(text)["d"] == {"x": 9, "y": 1}
    assert found("a: !reset [1]", tags=frozenset({"!reset"})) == {"a": Tagged("!reset", [1])}


@pytest.mark.parametrize(
    "text",
    [
        "\n".join(f"a{n + 1}: &a{n + 1} [*a{n}, *a{n}, *a{n}, *a{n}]" for n in range(12)).replace("*a0", "x"),
        "a: &a {b: &b {c: &c {d: 1}}}\n" + "\n".join(f"k{n}: [*a, *b, *c]" for n in range(200)),
        "[" + "1," * 2000 + "]",
        "a: '" + "x" * 100_000 + "'",
        "a: &a '" + "x" * 5_000 + "'\n" + "\n".join(f"k{n}: *a" for n in range(100)),
    ],
)
def test_what_grows_is_given_up_before_it_does(text: str) -> None:
    with pytest.raises(TooLarge):
        found(text)


def test_nesting_ends_before_any_stack_does() -> None:
    findings = Findings()
    for text in ("[" * 100_000, "{a: " * 100_000, "- " * 50_000, "&a " * 10):
        assert read(text, Place(findings, text[:3]), Budget(10_000_000)) is None
    assert len(findings.errors) >= 3
