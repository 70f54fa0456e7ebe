"""Attribute checks: tables of input and message (docs/spec/deploy_rest.md sections 1.4, 2 and 4.1)."""

from typing import Any

import pytest

from services.deploy_svc.domain.service_input import parse
from services.deploy_svc.domain.service_spec import CertificateRef, Link, Port, SecretRef, Ulimit
from services.kernel.errors import ValidationFailed

MINIMAL = {"name": "web", "image": "busybox:1", "stateful": False}


def errors(body: dict[str, Any], *, creating: bool = False) -> dict[str, Any]:
    with pytest.raises(ValidationFailed) as caught:
        parse(body, creating=creating)
    return caught.value.errors


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, {"name": "Name is required", "image": "Image is required", "stateful": "Stateful is required"}),
        ({"name": "a", "image": "b"}, {"stateful": "Stateful is required"}),
        ({"name": "a", "image": "b", "stateful": None}, {"stateful": "Stateful can't be nil"}),
        ({**MINIMAL, "name": "-a"}, {"name": "Name isn't in the right format"}),
        ({**MINIMAL, "name": "_x"}, {"name": "Name isn't in the right format"}),
        ({**MINIMAL, "name": "a b"}, {"name": "Name isn't in the right format"}),
        ({**MINIMAL, "name": "a\n"}, None),
        ({**MINIMAL, "name": " "}, {"name": "Name can't be blank"}),
        ({**MINIMAL, "image": ""}, {"image": "Image can't be blank"}),
        ({**MINIMAL, "stack": "shop"}, {"stack": "Stack can't be set here: the service belongs to no stack"}),
    ],
)
def test_create_requires_a_name_an_image_and_statefulness(body: dict[str, Any], expected: dict[str, Any]) -> None:
    if expected is None:
        assert parse(body, creating=True).name == "a"
    else:
        assert errors(body, creating=True) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"env": ["FOO"]}, {"env": ["Env[0] isn't in the right format"]}),
        ({"env": ["A=1", "FOO"]}, {"env": [None, "Env[1] isn't in the right format"]}),
        ({"env": ["=1"]}, {"env": ["Env[0] isn't in the right format"]}),
        ({"env": [""]}, {"env": ["Env[0] can't be blank"]}),
        ({"env": ["A=" + "x" * 131072]}, {"env": ["Env[0] is too long"]}),
        ({"net": "overlay"}, {"net": "Net isn't in the right format"}),
        ({"net": "container:"}, {"net": "Net isn't in the right format"}),
        ({"pid": "self"}, {"pid": "Pid isn't an option"}),
        ({"cpu_shares": 1025}, {"cpu_shares": "Cpu Shares is too big"}),
        ({"cpu_shares": -1}, {"cpu_shares": "Cpu Shares is too small"}),
        ({"cpus": float("nan")}, {"cpus": "Cpus is invalid"}),
        ({"memory": 0.5}, {"memory": "Memory isn't an integer"}),
        ({"memory": float("inf")}, {"memory": "Memory isn't an integer"}),
        ({"instances": -1}, {"instances": "Instances is too small"}),
        ({"container_count": -1}, {"container_count": "Container Count is too small"}),
        ({"stop_signal": "TERM"}, {"stop_signal": "Stop Signal isn't in the right format"}),
        ({"stop_grace_period": "soon"}, {"stop_grace_period": "Stop Grace Period isn't in the right format"}),
        ({"stop_grace_period": ""}, {"stop_grace_period": "Stop Grace Period can't be blank"}),
        ({"stop_grace_period": -1}, {"stop_grace_period": "Stop Grace Period isn't in the right format"}),
        ({"stop_grace_period": [1]}, {"stop_grace_period": "Stop Grace Period isn't in the right format"}),
        ({"stop_grace_period": "99999999999h"}, {"stop_grace_period": "Stop Grace Period is too big"}),
        ({"ports": [{"node_port": 80}]}, {"ports": [{"container_port": "Container Port is required"}]}),
        (
            {"ports": [{"node_port": 1, "container_port": 1}, {}]},
            {"ports": [None, {"node_port": "Node Port is required", "container_port": "Container Port is required"}]},
        ),
        ({"ports": [{"node_port": 70000, "container_port": 1}]}, {"ports": [{"node_port": "Node Port is too big"}]}),
        ({"secrets": [{"secret": "A"}]}, {"secrets": [{"name": "Name is required"}]}),
        ({"certificates": [{}]}, {"certificates": [{"subject": "Subject is required", "name": "Name is required"}]}),
        ({"links": [{"name": "a"}]}, {"links": [{"alias": "Alias is required"}]}),
        ({"hooks": {"post_start": [{"name": "a"}]}}, {"hooks": {"post_start": [
            {"cmd": "Cmd is required", "instances": "Instances is required"}]}}),
        ({"hooks": {"post_start": "x"}}, {"hooks": {"post_start": "Post Start isn't an array"}}),
        ({"hooks": {"post_start": ["x"]}}, {"hooks": {"post_start": ["Post Start[0] isn't a hash"]}}),
        ({"hooks": 1}, {"hooks": "Hooks isn't an array"}),
        ({"hooks": [{"name": "a", "cmd": "b", "type": "never"}]}, {"hooks": [{"type": "Type isn't an option"}]}),
        ({"cmd": "echo 'a"}, {"cmd": "Cmd isn't in the right format"}),
        ({"cmd": {"a": 1}}, {"cmd": "Cmd isn't an array"}),
        ({"cmd": ["a", {}]}, {"cmd": [None, "Cmd[1] isn't a string"]}),
        ({"entrypoint": {}}, {"entrypoint": "Entrypoint isn't a string"}),
        ({"log_opts": "x"}, {"log_opts": "Log Opts isn't a hash"}),
        ({"log_opts": {"a": {}}}, {"log_opts": {"a": "A isn't a string"}}),
        ({"health_check": {"port": 80}}, {"health_check": {"protocol": "Protocol is required"}}),
        ({"health_check": {"protocol": "http"}}, {"health_check": {"port": "Port is required"}}),
        ({"health_check": {"protocol": "udp", "port": 0}},
         {"health_check": {"protocol": "Protocol isn't an option", "port": "Port is too small"}}),
        ({"health_check": {"protocol": "http", "port": None}}, {"health_check": {"port": "Port can't be nil"}}),
        ({"deploy_opts": {"min_health": 1.5}}, {"deploy_opts": {"min_health": "Min Health is too big"}}),
        ({"deploy_opts": {"interval": -1}}, {"deploy_opts": {"interval": "Interval is too small"}}),
        ({"deploy_opts": {"parallelism": 0}}, {"deploy_opts": {"parallelism": "Parallelism is too small"}}),
        ({"stack": "other"}, {"stack": "Stack of a service can't be changed"}),
        ({"cmd": ["a", "b\0"]}, {"cmd": [None, "Cmd[1] contains a NUL character"]}),
        ({"entrypoint": "a\0"}, {"entrypoint": "Entrypoint contains a NUL character"}),
        ({"env": ["A=\0"]}, {"env": ["Env[0] contains a NUL character"]}),
        ({"ports": [{"node_port": 1, "container_port": 1, "ip": "localhost"}]},
         {"ports": [{"ip": "Ip isn't an address of IPv4 or IPv6"}]}),
        ({"ports": [{"node_port": 1, "container_port": 1, "ip": "10.0.0.0/8"}]},
         {"ports": [{"ip": "Ip isn't an address of IPv4 or IPv6"}]}),
        ({"ports": [{"node_port": 1, "container_port": 1, "protocol": "icmp"}]},
         {"ports": [{"protocol": "Protocol isn't an option"}]}),
        ({"ports": [{"node_port": 80, "container_port": 1, "ip": "10.0.0.1"}, {"node_port": 80, "container_port": 2}]},
         {"ports": [None, {"node_port": "Node Port 80/tcp is published twice"}]}),
        ({"secrets": [{"secret": "S", "name": "A=B"}]}, {"secrets": [{"name": "Name isn't in the right format"}]}),
        ({"certificates": [{"subject": "S", "name": "A=B"}]},
         {"certificates": [{"name": "Name isn't in the right format"}]}),
        ({"ulimits": {"files": 1}}, {"ulimits": [{"name": "Name isn't an option"}]}),
        ({"ulimits": {"nofile": {"soft": 2, "hard": 1}}},
         {"ulimits": "The soft limit of nofile is above the hard one"}),
        ({"labels": {"io.kontena.service.id": "x"}},
         {"labels": {"io.kontena.service.id": "Labels that begin with io.kontena. can't be set"}}),
        ({"labels": [1]}, {"labels": "Labels isn't a hash"}),
        ({"tmpfs": ["run"]}, {"tmpfs": ["Tmpfs[0] isn't in the right format"]}),
        ({"extra_hosts": ["a", "b:c"]}, {"extra_hosts": [
            "Extra Hosts[0] isn't name:address", "Extra Hosts[1] isn't name:address"]}),
        ({"dns_servers": ["resolver"]}, {"dns_servers": ["Dns Servers[0] isn't an address"]}),
        ({"spread": "zone=a"}, {"spread": "Spread isn't in the right format"}),
        ({"working_dir": "srv"}, {"working_dir": "Working Dir isn't in the right format"}),
        ({"health_check": {"protocol": "exec"}}, {"health_check": {"cmd": "Cmd is required"}}),
        ({"health_check": {"protocol": "exec", "cmd": []}}, {"health_check": {"cmd": "Cmd can't be nil"}}),
        ({"health_check": {"protocol": "tcp", "port": 1, "cmd": ["a"]}},
         {"health_check": {"cmd": "Cmd is for the protocol exec"}}),
    ],
)  # fmt: skip
def test_wrong_attributes_are_named(body: dict[str, Any], expected: dict[str, Any]) -> None:
    assert errors(body) == expected


def test_all_wrong_attributes_are_reported_together() -> None:
    assert set(errors({"net": "x", "env": ["A"], "cpu_shares": 2000})) == {"net", "env", "cpu_shares"}


@pytest.mark.parametrize(
    ("body", "attribute", "value"),
    [
        ({"cmd": "sh -c 'echo a b'"}, "cmd", ("sh", "-c", "echo a b")),
        ({"cmd": ["a", 1, True, 1.5]}, "cmd", ("a", "1", "true", "1.5")),
        ({"cmd": []}, "cmd", ()),
        ({"entrypoint": ["sh", "-c", "a b"]}, "entrypoint", "sh -c 'a b'"),
        ({"entrypoint": "/run"}, "entrypoint", "/run"),
        ({"replicas": 2}, "instances", 2),
        ({"replicas": 2, "container_count": 3}, "instances", 3),
        ({"replicas": 2, "container_count": 3, "instances": 4}, "instances", 4),
        ({"stop_grace_period": "1m23.5s"}, "stop_grace_period", 83),
        ({"stop_grace_period": "1h"}, "stop_grace_period", 3600),
        ({"stop_grace_period": 12}, "stop_grace_period", 12),
        ({"stop_grace_period": "12"}, "stop_grace_period", 12),
        ({"stop_signal": "SIGRTMIN+3"}, "stop_signal", "SIGRTMIN+3"),
        ({"stop_signal": "sigquit"}, "stop_signal", "sigquit"),
        ({"stop_signal": "9"}, "stop_signal", "9"),
        ({"log_opts": {"a": 1, "b": None, "c": "x"}}, "log_opts", {"a": "1", "c": "x"}),
        ({"log_opts": []}, "log_opts", {}),
        ({"memory": 64.0}, "memory", 64),
        ({"memory_swap": -1.0}, "memory_swap", -1),
        ({"net": "container:web-%s"}, "net", "container:web-%s"),
        ({"ports": [{"node_port": 80, "container_port": 8080}]}, "ports", (Port(80, 8080),)),
        ({"secrets": [{"secret": "S", "name": "N", "type": "env"}]}, "secrets", (SecretRef("S", "N"),)),
        ({"certificates": [{"subject": "S", "name": "N"}]}, "certificates", (CertificateRef("S", "N"),)),
        ({"volumes": ["/data", "/a:/b:ro:z", "/a:/b"]}, "volumes", ("/data", "/a:/b:ro,z", "/a:/b")),
        ({"user": " root\x00 "}, "user", "root"),
        ({"cmd": ["grep", "-e", "", " ", "a\tb\n"]}, "cmd", ("grep", "-e", "", " ", "a\tb\n")),
        ({"cmd": "cut -d ' ' --name \"\""}, "cmd", ("cut", "-d", " ", "--name", "")),
        ({"entrypoint": ["sh", "", " x\n"]}, "entrypoint", "sh '' ' x\n'"),
        ({"env": ["A= b \n", "B=\x01"]}, "env", ("A= b \n", "B=\x01")),
        ({"log_opts": {"tag": " a "}}, "log_opts", {"tag": " a "}),
        (
            {"ports": [{"node_port": 80, "container_port": 1, "ip": "::1", "protocol": "sctp"}]},
            "ports",
            (Port(80, 1, "::1", "sctp"),),
        ),
        (
            {
                "ports": [
                    {"node_port": 80, "container_port": 1, "ip": "10.0.0.1"},
                    {"node_port": 80, "container_port": 1, "ip": "10.0.0.2"},
                ]
            },
            "ports",
            (Port(80, 1, "10.0.0.1"), Port(80, 1, "10.0.0.2")),
        ),
        (
            {"ports": [{"node_port": 0, "container_port": 1}, {"node_port": 0, "container_port": 2}]},
            "ports",
            (Port(0, 1), Port(0, 2)),
        ),
        (
            {"ulimits": {"nofile": 1024, "core": {"soft": 0, "hard": -1}}},
            "ulimits",
            (Ulimit("nofile", 1024, 1024), Ulimit("core", 0, -1)),
        ),
        ({"ulimits": [{"name": "nproc", "soft": -1, "hard": -1}]}, "ulimits", (Ulimit("nproc", -1, -1),)),
        ({"labels": ["a=b=c", "d"]}, "labels", {"a": "b=c", "d": ""}),
        ({"sysctls": {"net.core.somaxconn": 1024}}, "sysctls", {"net.core.somaxconn": "1024"}),
        (
            {"extra_hosts": ["a:10.0.0.1", "b:::1", "c:host-gateway"]},
            "extra_hosts",
            ("a:10.0.0.1", "b:::1", "c:host-gateway"),
        ),
        ({"dns": ["10.0.0.1"]}, "dns_servers", ("10.0.0.1",)),
        ({"dns": "10.0.0.1"}, "dns_servers", ("10.0.0.1",)),
        ({"dns": "web.g1.kontena.local", "dns_servers": ["::1"]}, "dns_servers", ("::1",)),
        ({"group_add": [1000, "audio"]}, "group_add", ("1000", "audio")),
        ({"spread": ""}, "spread", ""),
        (
            {"health_check": {"protocol": "exec", "cmd": ["test", "-e", ""]}},
            "health_check",
            {"protocol": "exec", "cmd": ("test", "-e", "")},
        ),
    ],
)
def test_loose_spellings_are_understood(body: dict[str, Any], attribute: str, value: object) -> None:
    assert parse(body, creating=False).values == {attribute: value}


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        ({"name": "db", "alias": "d"}, Link("shop", "db", "d")),
        ({"name": "null/db", "alias": "d"}, Link("null", "db", "d")),
        ({"name": "g1/other/db", "alias": "d"}, Link("other", "db", "d")),
        ({"id": "g1/null/db", "name": "db", "alias": "d"}, Link("null", "db", "d")),
        ({"id": "g1/null/other", "name": "db", "alias": "d"}, Link("shop", "db", "d")),
    ],
)
def test_links_are_found_relative_to_the_own_stack(link: dict[str, Any], expected: Link) -> None:
    assert parse({"links": [link]}, creating=False, stack="shop").links == (expected,)


def test_in_a_stack_the_name_of_a_container_begins_with_that_of_the_stack() -> None:
    assert parse({**MINIMAL, "name": "_x"}, creating=True, stack="shop").name == "_x"


def test_null_counts_as_absent() -> None:
    everything = dict.fromkeys(
        ["instances", "env", "links", "cmd", "hooks", "health_check", "deploy_opts", "log_opts", "stop_grace_period"]
    )
    given = parse({**MINIMAL, **everything}, creating=True)
    assert given.values == {"image": "busybox:1", "stateful": False}


@pytest.mark.parametrize("check", [{}, dict.fromkeys(["port", "protocol", "uri", "timeout", "interval"])])
def test_an_empty_health_check_means_none(check: dict[str, Any]) -> None:
    assert parse({"health_check": check}, creating=False).values == {"health_check": {}}


def test_hook_numbers_are_trimmed() -> None:
    hook = {"name": "a", "cmd": "b", "instances": "1, 2", "oneshot": "true"}
    found = parse({"hooks": {"pre_start": [hook], "post_start": None}}, creating=False).values["hooks"]
    assert [(h.type, h.instances, h.oneshot) for h in found] == [("pre_start", "1,2", True)]
