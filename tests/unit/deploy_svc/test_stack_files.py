"""What stack files of Kontena become: variables, templates, services that extend others, stacks that need others."""

from typing import Any

import pytest

from services.deploy_svc.domain.stack_source import unpack
from tests.support.stack_sources import Outcome, convert, converted, projects

HEAD = "stack: me/a\nversion: '1'\n"
SERVICES = "services: {web: {image: x}}\n"


def stack_file(text: str, **more: Any) -> Outcome:
    return convert({"kontena.yml": HEAD + text}, **more)


def env_of(variables: str, value: str = "${v}", **more: Any) -> str:
    """What a variable `v` becomes within a text."""
    outcome = stack_file(
        f"variables:\n{variables}\nservices: {{web: {{image: x, environment: {{A: '{value}'}}}}}}", **more
    )
    assert outcome.made is not None, outcome.errors
    (found,) = outcome.made.document["services"][0]["env"]
    return str(found).removeprefix("A=")


def services(name: str, **more: Any) -> dict[str, dict[str, Any]]:
    """The services of a project by name."""
    made = converted("kontena", name, **more).made
    assert made is not None
    return {service["name"]: service for service in made.document["services"]}


@pytest.mark.parametrize("name", projects("kontena"))
def test_every_project_becomes_a_document_that_keeps_its_files(name: str) -> None:
    made = converted("kontena", name).made
    assert made is not None
    files = projects("kontena")[name]
    kept, order = unpack(made.document["source"], next(iter(files)))
    assert {key: text.strip() for key, text in kept.items()} == {key: text.strip() for key, text in files.items()}
    again = convert(kept, order=order, kept=made.document["variables"])
    assert again.made is not None, again.errors
    assert again.made.document["services"] == made.document["services"]


def test_a_first_stack_file() -> None:
    made = converted("kontena", "redis").made
    assert made is not None
    document = made.document
    assert [document[key] for key in ("name", "stack", "version", "expose")] == [
        "redis", "user/redis", "0.1.0", "redis",
    ]  # fmt: skip
    (redis,) = document["services"]
    assert (redis["stateful"], redis["strategy"], redis["volumes"]) == (True, "ha", ["/data"])
    assert redis["deploy_opts"] == {"wait_for_port": 6379, "min_health": 0.5}


def test_a_password_is_made_once_and_goes_to_the_vault_only() -> None:
    first = converted("kontena", "wordpress")
    assert first.made is not None
    assert first.asked == ["wordpress-root"]
    (secret,) = first.made.secrets
    assert (secret["name"], len(secret["value"])) == ("wordpress-root", 16)
    assert secret["value"] not in str(first.made.document)
    again = converted("kontena", "wordpress", known=["wordpress-root"])
    assert again.made is not None
    assert again.made.secrets == [{"name": "wordpress-root"}]
    given = converted("kontena", "wordpress", variables={"root_pw": "from the request"}, known=["wordpress-root"])
    assert given.made is not None
    assert given.made.secrets[0] == {"name": "wordpress-root", "value": "from the request"}


def test_a_value_of_the_vault_is_in_no_text() -> None:
    declared = "variables: {v: {type: string, from: {vault: key}}}\n"
    for text in (
        "services: {web: {image: x, environment: {A: '${v}'}}}",
        "services: {web: {image: x, environment: {A: '{{ v }}'}}}",
        "services: {web: {image: x, environment: {A: '{{ v | upcase }}'}}}",
    ):
        outcome = stack_file(declared + text, known=["key"])
        assert outcome.made is None
        assert "map it with `secrets`" in outcome.errors["kontena.yml"]
    used = stack_file(
        declared + "# {% if v %}\nservices: {web: {image: x, secrets: [{secret: key, name: A}]}}\n# {% endif %}",
        known=["key"],
    )
    assert used.made is not None, used.errors


def test_conditions_choose_variables() -> None:
    assert services("wordpress")["mysql"]["image"] == "mysql:latest"
    mariadb = services("wordpress", variables={"use_mariadb": "yes", "mysql_version": "5.5", "instances": "3"})
    assert mariadb["mysql"]["image"] == "mariadb:5.5"
    assert mariadb["wordpress"]["instances"] == 3


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ("on", True), ("off", False), ("nothing", False), ("nobody", False), ("[on, number]", True),
        ("[on, off]", False),
        ("{number: 5}", True), ("{number: '5'}", True), ("{number: 6}", False), ("{number: {gt: 4, lte: 5}}", True),
        ("{number: {lt: 5}}", False), ("{number: {gte: 6}}", False), ("{word: {start_with: foo, end_with: bar}}", True),
        ("{word: {contain: oba}}", True), ("{list: {contain: b}}", True), ("{list: {contain: z}}", False),
        ("{word: {any_of: 'x, foobar'}}", True), ("{word: {any_of: [x, y]}}", False), ("{word: {ne: foobar}}", False),
        ("{word: {eq: foobar}}", True),
    ],
)  # fmt: skip
def test_every_comparison(condition: str, holds: bool) -> None:
    known = """
  on: {type: boolean, value: true}
  off: {type: boolean, value: false}
  nothing: {type: string, required: false}
  number: {type: integer, value: 5}
  word: {type: string, value: foobar}
  list: {type: array, value: [a, b]}"""
    assert env_of(f"{known}\n  v: {{type: string, value: yes, only_if: {condition}}}") == ("yes" if holds else "")
    assert env_of(f"{known}\n  v: {{type: string, value: yes, skip_if: {condition}}}") == ("" if holds else "yes")


@pytest.mark.parametrize(
    ("definition", "found"),
    [
        ("{type: string, value: ' ab ', strip: true, upcase: true}", "AB"),
        ("{type: string, value: AbC, downcase: true, capitalize: true}", "Abc"),
        ("{type: string, value: secret, hexdigest: sha1}", "e5e9fa1ba31ecd1ae84f75caaa474f3a663f05f4"),
        ("{type: string, value: a, encode_64: true}", "YQ=="),
        ("{type: string, value: YQ==, decode_64: true}", "a"),
        ("{type: string, value: ' ', default: d, required: false}", ""),
        ("{type: integer, value: '12'}", "12"),
        ("{type: integer, min: -5, value: -3}", "-3"),
        ("{type: integer, nil_is_zero: true}", "0"),
        ("{type: boolean, value: enabled}", "true"),
        ("{type: boolean, value: nope}", "false"),
        ("{type: boolean, value: on, as: integer}", "1"),
        ("{type: boolean, value: on, 'true': ja}", "ja"),
        ("{type: boolean, nil_is: true}", "true"),
        ("{type: enum, options: [5.5, latest], value: 5.5}", "5.5"),
        ("{type: enum, options: [{value: a, label: A}], default: a}", "a"),
        ("{type: enum, options: [a], can_be_other: true, value: z}", "z"),
        ("{type: uri, value: 'https://a/b'}", "https://a/b"),
        ("{type: uri, schemes: [file], value: 'file:///a'}", "file:///a"),
        ("{type: array, value: 'b,a,b', sort: true, uniq: true, join: '-'}", "a-b"),
        ("{type: array, value: 'a b', split: ' ', count: true}", "2"),
        ("{type: string, from: {env: KEY}}", "given"),
        ("{type: string, from: {env: [NO, KEY]}}", "given"),
        ("{type: string, from: env, default: d}", "d"),
        ("{type: string, from: {file: pw.txt}, chomp: true}", "content"),
        ("{type: string, from: {file: {path: no.txt, ignore_errors: true}}, default: d}", "d"),
        ("{type: string, from: {variable: KEY}, default: d}", "d"),
        ("{type: integer, from: {evaluate: '(2 + 3) * 4 / 2 - 1'}}", "9"),
        ("{type: string, from: {interpolate: 'hi ${STACK} in ${GRID}'}}", "hi a in g1"),
        ("{type: string, from: {condition: [{if: nobody, then: x}, {else: y}]}}", "y"),
        ("{type: string, from: {prompt: Who?, random_string: {length: 4, charset: z}}}", "zzzz"),
        ("{type: integer, from: {random_number: {min: 7, max: 7}}}", "7"),
        ("{type: string, from: {random_uuid: }}", "00000000-0000-4000-8000-000000000000"),
    ],
)
def test_types_and_sources_of_variables(definition: str, found: str) -> None:
    files = {"kontena.yml": "", "pw.txt": "content\n"}
    text = f"variables:\n  v: {definition}\nservices: {{web: {{image: x, environment: {{A: '${{v}}'}}}}}}"
    files["kontena.yml"] = HEAD + text
    outcome = convert(files, variables={"KEY": "given"}, chance=bytes)
    assert outcome.made is not None, outcome.errors
    assert outcome.made.document["services"][0]["env"] == [f"A={found}"]


@pytest.mark.parametrize(
    ("text", "path", "part"),
    [
        ("variables: {v: {type: string}}", "variables.v", "has no value"),
        ("variables: {v: {type: string, from: {prompt: Who are you?}}}", "variables.v", "Who are you?"),
        ("variables: {v: {type: color, value: x}}", "variables.v.type", "is no type"),
        ("variables: {v: {type: string, from: {dice: 6}}}", "variables.v.from.dice", "no source"),
        ("variables: {v: {type: integer, value: abc}}", "variables.v", "whole number"),
        ("variables: {v: {type: integer, value: 11, max: 10}}", "variables.v", "above 10"),
        ("variables: {v: {type: integer, value: -1}}", "variables.v", "below 0"),
        ("variables: {v: {type: string, value: ab, min_length: 3}}", "variables.v", "shorter"),
        ("variables: {v: {type: string, value: abcd, max_length: 3}}", "variables.v", "longer"),
        ("variables: {v: {type: string, value: d, in: [a, b]}}", "variables.v", "a, b"),
        ("variables: {v: {type: enum, options: [a], value: b}}", "variables.v", "options a"),
        ("variables: {v: {type: uri, value: 'ftp://x'}}", "variables.v", "http"),
        ("variables: {v: {from: {variable: w}}, w: {from: {variable: v}}}", "variables.v", "depend on one another"),
        ("variables: {v: {value: x, only_if: {w: {near: 1}}}}", "variables.v.only_if.w", "no comparison"),
        ("variables: {v: {value: x, only_if: 5}}", "variables.v.only_if", "name of a variable"),
        ("variables: {v: {from: {file: no.txt}}}", "variables.v.from.file", "add it to `files`"),
        ("variables: {v: {from: {evaluate: '1 / 0'}}}", "variables.v.from.evaluate", "whole numbers"),
        ("variables: {v: {from: {evaluate: '9 ** 9'}}}", "variables.v.from.evaluate", "whole numbers"),
        ("variables: {v: {from: {random_string: 99999}}}", "variables.v.from.random_string", "4096"),
        ("variables: [v]", "variables", "mapping"),
        ("variables: {v: x}", "variables.v", "mapping"),
        ("x: ${NOBODY}", "kontena.yml", "NOBODY is no variable"),
        ("x: '{{ nobody }}'", "kontena.yml", "cannot be rendered"),
        ("x: '{% if %}'", "kontena.yml", "cannot be rendered"),
        ("x: '{% include \"/etc/passwd\" %}'", "kontena.yml", "cannot be rendered"),
        ("# {% for i in (1..1000000000) %}{% endfor %}", "kontena.yml", "cannot be rendered"),
        ("colour: red", "colour", "no such key"),
        ("volumes: {data: {}}", "volumes.data", "external"),
        ("depends: {db: {stack: other.yml}}", "depends.db.stack", "was not sent"),
        ("depends: {db: {stack: kontena.yml}}", "depends.db", "deep"),
    ],
)
def test_what_is_wrong_is_refused_at_its_place(text: str, path: str, part: str) -> None:
    outcome = stack_file(f"{text}\n{SERVICES}")
    assert outcome.made is None
    assert list(outcome.errors)[:1] == [path], outcome.errors
    assert part in outcome.errors[path], outcome.errors


@pytest.mark.parametrize(
    ("service", "path", "part"),
    [
        ("build: .", "services.web.build", "docker build"),
        ("colour: red", "services.web.colour", "no such key"),
        ("volume_driver: x", "services.web.volume_driver", "volume of the grid"),
        ("deploy: {speed: 5}", "services.web.deploy.speed", "wait_for_port"),
        ("secrets: [{secret: a, colour: red}]", "services.web.secrets[0].colour", "secret, name"),
        ("secrets: a", "services.web.secrets", "list"),
        ("stateful: perhaps", "services.web.stateful", "true or false"),
        ("links: [nobody]", "services.web.links", "missing links"),
        ("ports: [x]", "services.web.ports[0]", "is no port"),
        ("health_check: {protocol: smtp}", "services.web.health_check.protocol", "option"),
        ("extends: {file: no.yml, service: x}", "services.web.extends", "was not sent"),
        ("extends: web", "services.web.extends", "circle"),
        ("extends: {stack: other}", "services.web.extends", "`service` and `file`"),
        ("volumes: ['data:/d']", "services.web.volumes[0]", "does not exist"),
    ],
)
def test_keys_of_services_are_refused_at_their_place(service: str, path: str, part: str) -> None:
    outcome = stack_file(f"services: {{web: {{image: x, {service}}}}}")
    assert outcome.made is None
    assert path in outcome.errors, outcome.errors
    assert part in outcome.errors[path], outcome.errors


def test_a_template_loops_over_what_was_given() -> None:
    (lb,) = services("balancer").values()
    assert [(item["secret"], item["name"]) for item in lb["secrets"]] == [
        ("ssl_a", "SSL_SSL_A"),
        ("ssl_b", "SSL_SSL_B"),
    ]
    assert [port["node_port"] for port in lb["ports"]] == [80, 443]
    (plain,) = services("balancer", variables={"https_only": "true"}).values()
    assert ("secrets" in plain, plain.get("ports", [])) == (False, [])


def test_services_extend_others_and_may_be_left_out() -> None:
    found = services("app")
    assert list(found) == ["web"]
    assert found["web"]["env"] == ["FROM_FILE=1", "MODE=production", "LEVEL=info"]
    assert found["web"]["cap_drop"] == ["ALL"]
    debug = services("app", variables={"mode": "development"})
    assert debug["debug"]["image"] == "example/debug"
    assert debug["debug"]["ports"] == debug["web"]["ports"]


def test_stacks_that_are_needed_come_first() -> None:
    made = converted("kontena", "family").made
    assert made is not None
    (cache,) = made.dependencies
    assert (cache["name"], cache["parent"]) == ("family-cache", {"name": "family"})
    assert cache["services"][0]["instances"] == 3
    other = converted("kontena", "family", variables={"cache.size": 5}).made
    assert other is not None
    assert other.dependencies[0]["services"][0]["instances"] == 5


def test_a_stack_keeps_what_was_given_and_nothing_that_the_file_says() -> None:
    made = converted("kontena", "wordpress", variables={"mysql_version": "5.5", "root_pw": "long enough"}).made
    assert made is not None
    assert made.document["variables"] == {"mysql_version": "5.5"}
    assert converted("kontena", "shell").made.document["variables"] == {}  # type: ignore[union-attr]
