"""How revisions differ from one another (domain/revision.py)."""

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from services.deploy_svc.domain.revision import Change, ServiceChange, Version, document_changes, service_changes
from services.deploy_svc.domain.service_spec import Port, SecretRef, ServiceSpec
from services.deploy_svc.domain.stack import Document
from services.deploy_svc.domain.volume import Mount

SPEC = ServiceSpec("app:1", stateful=False, secrets=(SecretRef("TOKEN", "KEY"),))
DOCUMENT = Document("me/shop", "1", services=({"name": "web", "image": "app:1"}, {"name": "db", "image": "db"}))


def test_a_service_differs_attribute_by_attribute_and_secrets_by_their_names() -> None:
    after = replace(SPEC, image="app:2", secrets=(SecretRef("OTHER", "KEY"),))
    assert service_changes(Version(SPEC), Version(after)) == (
        Change("image", "app:1", "app:2"),
        Change("secrets", ({"secret": "TOKEN", "name": "KEY"},), ({"secret": "OTHER", "name": "KEY"},)),
    )


def test_a_volume_of_the_same_name_may_be_another_one() -> None:
    was, now = (Mount("data", key, volume, "grid", "local") for key, volume in (("1", "a"), ("2", "b")))
    found = service_changes(Version(SPEC, mounts=(was,)), Version(SPEC, exposed=True, mounts=(now,)))
    assert found == (Change("exposed", False, True), Change("mounts", {"data": "a"}, {"data": "b"}))


def test_documents_differ_by_service_whatever_their_order() -> None:
    web, db = DOCUMENT.services
    assert document_changes(DOCUMENT, replace(DOCUMENT, services=(db, web))).services == ()
    after = replace(DOCUMENT, version="2", services=({**web, "image": "app:2", "env": ["A=1"]}, {"name": "log"}))
    found = document_changes(DOCUMENT, after)
    assert found.attributes == (Change("version", "1", "2"),)
    assert found.services == (
        ServiceChange("web", "change", (Change("image", "app:1", "app:2"), Change("env", None, ["A=1"]))),
        ServiceChange("log", "create"),
        ServiceChange("db", "remove"),
    )


def test_a_source_is_told_by_its_size() -> None:
    found = document_changes(replace(DOCUMENT, source="a\nb"), replace(DOCUMENT, source="long" * 1000))
    assert found.attributes == (Change("source", "2 lines, 3 characters", "1 lines, 4000 characters"),)


specs = st.builds(
    ServiceSpec,
    image=st.sampled_from(["a", "b"]),
    stateful=st.booleans(),
    env=st.lists(st.text("AB=", min_size=1), max_size=2).map(tuple),
    ports=st.lists(st.builds(Port, st.integers(1, 3), st.integers(1, 3)), max_size=2).map(tuple),
    memory=st.none() | st.integers(0, 9),
    labels=st.dictionaries(st.sampled_from("ab"), st.sampled_from("cd")),
)


@given(specs, specs)
def test_changes_are_exactly_what_makes_one_of_the_other(before: ServiceSpec, after: ServiceSpec) -> None:
    changes = service_changes(Version(before), Version(after))
    names: dict[str, Any] = {change.attribute: getattr(after, change.attribute) for change in changes}
    assert replace(before, **names) == after
    assert (changes == ()) == (before == after)
    back = service_changes(Version(after), Version(before))
    assert [(change.attribute, change.after, change.before) for change in back] == [
        (change.attribute, change.before, change.after) for change in changes
    ]
