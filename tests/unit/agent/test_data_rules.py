"""Where a stateful instance keeps its data."""

import re

from agent.domain import data
from agent.domain.labels import InstanceKey
from agent.runtime.ports import Container
from tests.unit.agent.agent_factories import assignment

KEY = InstanceKey("a" * 24, 1)
ANONYMOUS = "0123456789abcdef" * 4


def test_paths_without_a_volume_of_their_own_and_those_of_the_image_keep_data() -> None:
    volumes = [{"path": "/data/"}, {"bind_mount": "/srv", "path": "/srv"}, {"name": "main.x", "path": "/x"}]
    pod = assignment(pod={"volumes": volumes}).pod
    assert data.paths(pod, ["/x", "/var/lib/db", "/data"]) == ["/data", "/var/lib/db"]


def test_a_name_is_readable_and_of_one_path_of_one_instance_of_one_service_only() -> None:
    name = data.volume_name("shop.db-1", KEY, "/var/lib/db")
    assert re.fullmatch(r"shop\.db-1\.var-lib-db\.[0-9a-f]{8}", name)
    others = [
        data.volume_name("shop.db-1", InstanceKey("b" * 24, 1), "/var/lib/db"),
        data.volume_name("shop.db-1", InstanceKey("a" * 24, 2), "/var/lib/db"),
        data.volume_name("shop.db-1", KEY, "/var/lib-db"),
    ]
    assert len({name, *others}) == 4


def test_any_path_makes_a_name_that_the_engine_takes() -> None:
    for path in ("/", "/ä b/ö", "/" + "x" * 300, "/.."):
        name = data.volume_name("w" * 300, KEY, path)
        assert re.fullmatch(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+", name)
        assert len(name) <= 255


def test_a_container_names_its_data_and_one_of_before_has_anonymous_volumes() -> None:
    mounts = {"/data": ANONYMOUS, "/x": "main.x"}
    older = Container("c", "db-1", "i", {}, running=True, volumes=mounts)
    assert data.held_by(older) == {"/data": ANONYMOUS}
    tag = data.label([data.DataMount("/data", "db-1.data.1")])
    newer = Container("c", "db-1", "i", {"io.kontena.container.data_volumes": tag}, running=True)
    assert data.held_by(newer) == {"/data": "db-1.data.1"}


def test_an_odd_label_says_nothing() -> None:
    for text in ("[]", "x", "1"):
        odd = Container("c", "db-1", "i", {"io.kontena.container.data_volumes": text}, running=True)
        assert data.held_by(odd) == {}
