"""What has no counterpart is refused at its exact place, with what to do instead; or left out, when that is asked."""

from typing import Any

import pytest

from services.deploy_svc.domain.compose.keys import ELEMENTS, TOP
from tests.support.stack_sources import convert

WEB = "name: a\nservices: {web: {image: x, %s}, other: {image: x}}"
# What a service says, where the error is, a part of it.
SERVICE_ROWS = [
    ("build: .", "services.web.build", "docker build"),
    ("build: {context: .}", "services.web.build", "`image`"),
    ("container_name: x", "services.web.container_name", "leave it out"),
    ("hostname: x", "services.web.hostname", "leave it out"),
    ("security_opt: [no-new-privileges]", "services.web.security_opt", "profiles of the engine"),
    ("colour: red", "services.web.colour", "no such key"),
    ("restart: 'no'", "services.web.restart", "keep running"),
    ("restart: on-failure", "services.web.restart", "keep running"),
    ("deploy: {mode: replicated-job}", "services.web.deploy.mode", "global"),
    ("deploy: {endpoint_mode: vip}", "services.web.deploy.endpoint_mode", "dnsrr"),
    ("deploy: {update_config: {delay: 10s}}", "services.web.deploy.update_config.delay", "follow one another"),
    ("deploy: {update_config: {monitor: 10s}}", "services.web.deploy.update_config.monitor", "wait_for_port"),
    ("deploy: {placement: {constraints: [node.role==manager]}}", "services.web.deploy.placement.constraints[0]",
     "node.labels"),
    ("deploy: {placement: {preferences: [{spread: node.id}]}}", "services.web.deploy.placement.preferences[0]",
     "node.labels.NAME"),
    ("deploy: {placement: {preferences: [{spread: node.labels.a}, {spread: node.labels.b}]}}",
     "services.web.deploy.placement.preferences[1]", "one label"),
    ("deploy: {resources: {limits: {pids: 1}}}", "services.web.deploy.resources.limits.pids", "nproc"),
    ("deploy: {restart_policy: {max_attempts: 3}}", "services.web.deploy.restart_policy.max_attempts", "leave it out"),
    ("volumes: ['./src:/src']", "services.web.volumes[0]", "image"),
    ("volumes: [{type: bind, source: ../x, target: /x}]", "services.web.volumes[0].source", "absolute path"),
    ("volumes: [{type: image, source: x, target: /x}]", "services.web.volumes[0]", "bind or tmpfs"),
    ("volumes: [{type: bind, source: /x, target: /x, bind: {recursive: enabled}}]",
     "services.web.volumes[0].bind.recursive", "leave it out"),
    ("depends_on: {other: {condition: service_completed_successfully}}",
     "services.web.depends_on.other.condition", "pre_start"),
    ("depends_on: {other: {condition: service_started, restart: true}}", "services.web.depends_on.other.restart",
     "leave it out"),
    ("links: ['other:db']", "services.web.links[0]", "aliases"),
    ("network_mode: none", "services.web.network_mode", "bridge"),
    ("networks: {default: {ipv4_address: 10.0.0.1}}", "services.web.networks.default.ipv4_address", "addresses"),
    ("networks: {default: {aliases: [www]}}", "services.web.networks.default.aliases", "names"),
    ("healthcheck: {test: x, start_interval: 1s}", "services.web.healthcheck.start_interval", "interval"),
    ("pid: 'service:other'", "services.web.pid", "host"),
    ("volumes_from: ['other:ro']", "services.web.volumes_from[0]", "read and write"),
    ("post_start: [{command: x, user: root}]", "services.web.post_start[0].user", "leave it out"),
    ("x-kontena: {colour: red}", "services.web.x-kontena.colour", "no such key"),
]  # fmt: skip
# What stays an error, as it says nothing that could be left out.
WRONG_ROWS = [
    ("deploy: {update_config: {order: start-first}}, volumes: ['/data']", "services.web.deploy_opts.order", "stateful"),
    ("x-kontena: [a]", "services.web.x-kontena", "mapping"),
    ("ports: ['80:81:82:83']", "services.web.ports[0]", "is no port"),
    ("ports: ['8000-8002:80']", "services.web.ports[0]", "same length"),
    ("ports: ['70000:80']", "services.web.ports[0]", "same length"),
    ("ports: [{published: 80}]", "services.web.ports[0]", "port"),
    ("ports: ['80/icmp']", "services.web.ports[0]", "protocol"),
    ("volumes: ['data:/data']", "services.web.volumes[0]", "top-level"),
    ("volumes: ['/data:relative']", "services.web.volumes[0]", "slash"),
    ("volumes: ['/data:/data:fast']", "services.web.volumes[0]", "no flag"),
    ("depends_on: [db]", "services.web.depends_on.db", "no such service"),
    ("links: [db]", "services.web.links[0]", "no such service"),
    ("depends_on: [web]", "services.web.links", "recursive"),
    ("networks: [front]", "networks", "front"),
    ("env_file: web.env", "services.web.env_file", "add it to `files`"),
    ("environment: {A: [1]}", "services.web.environment.A", "does not allow"),
    ("mem_limit: much", "services.web.mem_limit", "64m"),
    ("stop_grace_period: soon", "services.web.stop_grace_period", "duration"),
    ("stop_signal: nine", "services.web.stop_signal", "format"),
    ("scale: few", "services.web.scale", "number"),
    ("scale: -1", "services.web.scale", "number"),
    ("init: perhaps", "services.web.init", "true or false"),
    ("healthcheck: {interval: 1s}", "services.web.healthcheck.test", "not known"),
    ("healthcheck: {test: [curl]}", "services.web.healthcheck.test", "CMD"),
    ("user: 'x:${'", "services.web.user", "is no variable"),
    ("user: 'x:${A-${B-${C-${D-${E-${F-${G-${H-${I-1}}}}}}}}}'", "services.web.user", "is no variable"),
    ("extends: nobody", "services.web.extends", "no service nobody"),
    ("extends: web", "services.web.extends", "circle"),
    ("extends: {service: web, file: other.yaml}", "services.web.extends", "was not sent"),
    ("command: {a: b}", "services.web.command", "does not allow"),
    ("user: [1]", "services.web.user", "does not allow"),
    ("ulimits: {nofile: {soft: 2, hard: 1}}", "services.web.ulimits", "above"),
    ("extra_hosts: ['a:b']", "services.web.extra_hosts[0]", "name:address"),
]  # fmt: skip
# Whole files.
FILE_ROWS = [
    ("services: {web: {image: x}}", "name", "needs a name"),
    ("name: a", "services", "no service"),
    ("name: a\nservices: []", "services", "does not allow"),
    ("name: a\nservices: {web: }", "services.web", "does not allow"),
    ("name: a\nservices: {web: {}}", "services.web", "`image`"),
    ("name: a\nservices: {a.b: {image: x}}", "services.a.b", "letters"),
    ("name: a\nservices: {web: {image: x}}\ninclude: [b.yaml]", "include", "`order`"),
    ("name: a\nservices: {web: {image: x}}\nconfigs: {c: {file: ./c.conf}}", "configs.c.file", "not sent"),
    ("name: a\nservices: {web: {image: x}}\nconfigs: {c: {environment: C}}", "configs.c.environment", "not set"),
    ("name: a\nservices: {web: {image: x}}\nsecrets: {s: {external: true, name: a.b}}", "secrets.s", "letters"),
    ("name: a\nservices: {web: {image: x, secrets: [s]}}", "services.web.secrets[0]", "top level"),
    ("name: a\nservices: {web: {image: x, configs: [{source: c, target: /proc/c}]}}\nconfigs: {c: {content: x}}",
     "services.web.configs[0].path", "kernel"),
    ("name: a\nservices: {web: {image: x, profiles: [p]}}", "services", "profile"),
    ("name: a\nservices: {a: {image: x, networks: [f]}, b: {image: x, networks: [g]}}\nnetworks: {f: , g: }",
     "networks", "cannot keep them apart"),
    ("name: a\nservices: {a: {image: x}}\nnetworks: {default: {ipam: {driver: x}}}", "networks.default.ipam", "subnet"),
    ("name: a\nservices: {a: {image: x, volumes: ['d:/d']}}\nvolumes: {d: {labels: {a: b}}}", "volumes.d.labels",
     "labels"),
    ("name: a b\nservices: {web: {image: x}}", "name", "format"),
    ("text", "compose.yaml", "mapping"),
    ("a: [", "compose.yaml", "line 2"),
    ("a: 1\na: 2", "compose.yaml", "twice"),
    ("a: 1\n---\nb: 2", "compose.yaml", "second document"),
    ("a: *b", "compose.yaml", "before it is defined"),
    ("a: &a [*a]", "compose.yaml", "within itself"),
    ("a: !!python/object/apply:os.system [id]", "compose.yaml", "not known here"),
    ("? [a]\n: b", "compose.yaml", "no text"),
    ("[" * 100 + "]" * 100, "compose.yaml", "deep"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "path", "part"), SERVICE_ROWS)
def test_what_is_not_supported_is_refused_at_its_place_or_left_out(text: str, path: str, part: str) -> None:
    _refused(WEB % text, path, part)
    ignored = convert(WEB % text, ignore=True)
    assert ignored.made is not None, ignored.errors
    (warning,) = [item for item in ignored.warnings if item.path == path]
    assert part in warning.message
    assert warning.message.startswith("Ignored: ")


@pytest.mark.parametrize(("text", "path", "part"), WRONG_ROWS)
def test_what_is_wrong_is_refused_at_its_place_whoever_asks(text: str, path: str, part: str) -> None:
    _refused(WEB % text, path, part)
    assert convert(WEB % text, ignore=True).made is None


@pytest.mark.parametrize(("text", "path", "part"), FILE_ROWS)
def test_a_file_that_is_wrong_as_a_whole(text: str, path: str, part: str) -> None:
    _refused(text, path, part)


def test_each_key_is_converted_or_says_what_to_do_instead() -> None:
    """The whole of the tables, whatever is in them."""
    for name, table in {"": TOP, **ELEMENTS}.items():
        for key, row in table.items():
            if not row.supported:
                assert row.means.endswith("."), (name, key, row.means)
                given: Any = {key: "x"}
                path = f"services.web.{key}" if name == "services" else key
                if name in ("", "services"):
                    text = WEB % f"{key}: x" if name else f"{WEB % 'init: true'}\n{key}: x"
                    assert convert(text).errors == {path: row.means}, given


def test_errors_never_show_values() -> None:
    for text in ("environment: {A: [hunter2]}", "command: {hunter2: 1}", "env_file: {hunter2: 1}"):
        outcome = convert(WEB % text)
        assert outcome.errors
        assert "hunter2" not in str(outcome.errors)


def _refused(text: str, path: str, part: str) -> None:
    outcome = convert(text)
    assert outcome.made is None
    assert list(outcome.errors) == [path], outcome.errors
    assert part in outcome.errors[path], outcome.errors
