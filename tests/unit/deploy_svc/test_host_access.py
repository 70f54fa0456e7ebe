"""Which attributes reach past a container to its node."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from services.deploy_svc.domain import host_access, pod
from services.deploy_svc.domain.host_level import never, volume_options
from services.deploy_svc.domain.service import Service
from services.deploy_svc.domain.service_input import ATTRIBUTES, parse
from services.deploy_svc.domain.service_spec import ServiceSpec
from services.deploy_svc.domain.service_update import new_spec
from services.deploy_svc.domain.volume import Mount

OPEN = frozenset({"/srv/shared"})


def found(mounts: tuple[Mount, ...] = (), **attributes: Any) -> dict[str, tuple[str, ...]]:
    given = parse({"name": "web", "image": "i", "stateful": False, **attributes}, creating=True)
    return dict(host_access.of_service(new_spec(given), mounts, OPEN))


@pytest.mark.parametrize(
    ("attributes", "named"),
    [
        ({"privileged": True}, {"privileged"}),
        ({"privileged": "1"}, {"privileged"}),
        ({"net": "host"}, {"net"}),
        ({"net": "container:somebody-1"}, {"net"}),
        ({"pid": "host"}, {"pid"}),
        ({"cap_add": ["SYS_PTRACE"]}, {"cap_add"}),
        ({"cap_add": ["cap_sys_admin"]}, {"cap_add"}),
        ({"cap_add": ["CHOWN", " all "]}, {"cap_add"}),
        ({"devices": ["/dev/sda"]}, {"devices"}),
        ({"volumes": ["/:/host"]}, {"volumes"}),
        ({"volumes": ["/var/run/docker.sock:/sock:ro"]}, {"volumes"}),
        ({"volumes": ["/srv/shared/..:/x"]}, {"volumes"}),
        ({"volumes": ["/srv/shared/link:/x"]}, {"volumes"}),
        ({"volumes": ["//etc:/x"]}, {"volumes"}),
        ({"volumes_from": ["somebody-%s"]}, {"volumes_from"}),
        ({"log_opts": {"syslog-address": "unix:///var/run/docker.sock"}}, {"log_opts"}),
        ({"log_opts": {"syslog-tls-ca-cert": "/etc/shadow"}}, {"log_opts"}),
        *(
            ({"log_opts": {"some-address": target}}, {"log_opts"})
            for target in (
                "tcp://127.0.0.1:514",
                "localhost:24224",
                "udp://LOCALHOST.:1",
                "http://169.254.169.254/latest",
                "[::1]:5",
                "127.1:514",
                "2130706433:514",
                "tcp://[fe80::1%1]:514",
                "[::ffff:127.0.0.1]:1",
                "0.0.0.0:1",
                "x.localhost",
                "http://user@127.0.0.1/",
                "127.8.8.8",
            )
        ),
        ({"net": "host", "pid": "host", "volumes": ["/etc:/e"]}, {"net", "pid", "volumes"}),
    ],
)
def test_what_reaches_the_node_is_named(attributes: dict[str, Any], named: set[str]) -> None:
    assert set(found(**attributes)) == named


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"privileged": False, "net": "bridge", "cap_drop": ["ALL"]},
        {"cap_add": ["CHOWN", "cap_net_raw", "NET_BIND_SERVICE"]},
        {"volumes": ["/data", "named:/data", "/srv/shared:/x:ro", "/srv//shared/:/y"]},
        {"log_driver": "json-file", "log_opts": {"max-size": "10m", "max-file": "0", "tag": "{{.Name}}/{{.ID}}"}},
        {
            "log_driver": "fluentd",
            "log_opts": {"fluentd-address": "tcp://10.0.0.9:24224", "fluentd-retry-wait": "1.5s"},
        },
        {"log_driver": "syslog", "log_opts": {"syslog-address": "udp://[2001:db8::7]:514", "tag": "localhost-logs"}},
        {"ports": [{"node_port": 80, "container_port": 80}], "sysctls": {"net.core.somaxconn": "9"}},
    ],
)
def test_what_stays_inside_is_not(attributes: dict[str, Any]) -> None:
    assert found(**attributes) == {}


@pytest.mark.parametrize(
    ("driver", "options", "reaches"),
    [
        ("local", {}, False),
        ("local", {"type": "nfs", "device": ":/export", "o": "addr=10.0.0.1,rw"}, False),
        ("local", {"type": "tmpfs", "device": "tmpfs", "o": "size=1m"}, False),
        ("local", {"type": "none", "device": "/", "o": "bind"}, True),
        ("local", {"type": "nfs", "device": "/", "o": "addr=x, BIND"}, True),
        ("local", {"type": "tmpfs", "device": "/etc", "o": "rbind"}, True),
        ("local", {"type": "ext4", "device": "/dev/sda1"}, True),
        ("local", {"type": "overlay", "device": "overlay", "o": "lowerdir=/,upperdir=/u,workdir=/w"}, True),
        ("local", {"type": "proc", "device": "proc"}, True),
        ("local", {"device": "/", "o": "ro"}, True),
        ("local", {"Type": "NONE", "Device": "/", "O": "bind"}, True),
        ("some/plugin", {}, False),
        ("some/plugin", {"mountpoint": "/"}, True),
    ],
)
def test_volume_options_that_show_the_node(driver: str, options: dict[str, str], reaches: bool) -> None:
    assert volume_options(driver, options) is reaches
    mount = Mount("data", "v1", "data", "grid", driver, options)
    assert found((mount,), volumes=["data:/d"]) == ({"volumes": ("data",)} if reaches else {})


def test_what_runs_is_looked_at_as_it_was_deployed() -> None:
    """Its service may ask for less by now."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    spec = ServiceSpec(
        "i", stateful=False, privileged=True, net="host", volumes=("/etc:/e", "data:/d", "/srv/shared:/s")
    )
    mount = Mount("data", "v1", "data", "grid", "local", {"type": "none", "o": "bind", "device": "/"})
    service = Service("s1", "g1", "g", "null", "web", spec, "running", 1, None, 0, None, now, now, mounts=(mount,))
    running = host_access.of_pod(pod.build(service, 1, "node"), OPEN)
    assert running == {"privileged": ("true",), "net": ("host",), "volumes": ("/etc", "data")}
    assert host_access.told(running) == "volumes (/etc, data), privileged (true), net (host)"
    plain = replace(service, spec=ServiceSpec("i", stateful=False), mounts=())
    assert host_access.of_pod(pod.build(plain, 1, "node"), OPEN) == {}


def test_every_attribute_was_thought_about() -> None:
    """A new attribute comes in here, or its row in the table says what of it is host-level."""
    inside = {name for name, attribute in ATTRIBUTES.items() if attribute.host is never}
    assert inside == {
        "affinity", "cap_drop", "certificates", "cmd", "configs", "cpu_shares", "cpus", "deploy_opts", "dns_servers",
        "entrypoint", "env", "extra_hosts", "group_add", "health_check", "hooks", "image", "init", "instances",
        "labels", "links", "log_driver", "max_per_node", "memory", "memory_swap", "ports", "read_only", "secrets",
        "shm_size", "spread",
        "stateful", "stop_grace_period", "stop_signal", "strategy", "sysctls", "tmpfs", "ulimits", "user",
        "working_dir",
    }  # fmt: skip
