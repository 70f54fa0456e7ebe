"""Files of secrets and configs, as a service says them."""

from typing import Any

import pytest

from services.deploy_svc.domain.service_input import parse
from services.deploy_svc.domain.service_spec import ConfigRef, SecretRef
from services.deploy_svc.domain.service_update import new_spec, problems
from services.kernel.errors import ValidationFailed

PLAIN: dict[str, Any] = {"name": "web", "image": "app", "stateful": False}


def spec(**attributes: Any) -> Any:
    return new_spec(parse({**PLAIN, **attributes}, creating=True))


def wrong(**attributes: Any) -> dict[str, Any]:
    given = parse({**PLAIN, **attributes}, creating=True)
    return problems(new_spec(given), given)


def refused(**attributes: Any) -> Any:
    with pytest.raises(ValidationFailed) as caught:
        parse({**PLAIN, **attributes}, creating=True)
    return caught.value.errors


def test_a_secret_is_a_variable_or_a_file_with_defaults() -> None:
    made = spec(
        secrets=[
            {"secret": "A", "name": "PASSWORD", "type": "env"},
            {"secret": "B", "type": "file"},
            {"secret": "C", "type": "file", "path": "/srv/key", "mode": "400", "uid": 1000, "gid": 2000},
        ]
    )
    assert made.secrets == (
        SecretRef("A", "PASSWORD"),
        SecretRef("B", "B", path="/run/secrets/B", mode="0444"),
        SecretRef("C", "C", path="/srv/key", mode="0400", uid=1000, gid=2000),
    )


def test_a_config_is_a_file() -> None:
    made = spec(configs=[{"config": "nginx.conf"}, {"config": "a", "path": "/etc/a", "mode": "0o640"}])
    assert made.configs == (
        ConfigRef("nginx.conf", path="/nginx.conf", mode="0444"),
        ConfigRef("a", path="/etc/a", mode="0640"),
    )


@pytest.mark.parametrize(
    ("changed", "member", "words"),
    [
        ({"path": "run/x"}, "path", "absolute path"),
        ({"path": "/a/../b"}, "path", "absolute path"),
        ({"path": "/"}, "path", "absolute path"),
        ({"path": "/a/"}, "path", "absolute path"),
        ({"path": "/a:b"}, "path", "absolute path"),
        ({"path": "/proc/1/x"}, "path", "kernel"),
        ({"mode": "0999"}, "mode", "format"),
        ({"mode": "4755"}, "mode", "0777"),
        ({"uid": -1}, "uid", "too small"),
    ],
)
def test_what_is_no_file_is_refused(changed: dict[str, Any], member: str, words: str) -> None:
    for attribute, item in (("secrets", {"secret": "S", "type": "file"}), ("configs", {"config": "C"})):
        ((problem,),) = (refused(**{attribute: [{**item, **changed}]})[attribute],)
        assert words in problem[member]


def test_members_of_files_are_for_files_and_types_are_known() -> None:
    assert "type file" in refused(secrets=[{"secret": "S", "name": "N", "path": "/x"}])["secrets"][0]["path"]
    assert list(refused(secrets=[{"secret": "S", "name": "N", "type": "volume"}])["secrets"][0]) == ["type"]
    assert list(refused(configs=[{"path": "/x"}])["configs"][0]) == ["config"]


def test_each_path_is_used_once() -> None:
    twice = {"secrets": [{"secret": "S", "type": "file", "path": "/x"}], "configs": [{"config": "C", "path": "/x"}]}
    assert wrong(**twice) == {"configs": ["Path /x is used twice"]}
    assert wrong(volumes=["/data"], configs=[{"config": "C", "path": "/data"}]) == {
        "configs": ["Path /data is used twice"]
    }
    assert wrong(tmpfs=["/run/x/y:size=1m"], configs=[{"config": "C", "path": "/run/x"}]) == {
        "configs": ["Path /run/x is used twice"]
    }
    assert wrong(tmpfs=["/run"], configs=[{"config": "C", "path": "/run/x"}]) == {}


def test_a_container_has_not_too_many_files() -> None:
    found = wrong(configs=[{"config": f"c{number}"} for number in range(65)])
    assert found == {"configs": ["At most 64 files are mounted into a container"]}


@pytest.mark.parametrize("path", ["/run/kontena/files", "/run/../run/kontena", "//var/run/kontena/x"])
def test_nobody_mounts_the_folder_of_the_agent(path: str) -> None:
    found = wrong(volumes=[f"{path}:/stolen:ro"])
    assert "node's agent" in found["volumes"][0]
