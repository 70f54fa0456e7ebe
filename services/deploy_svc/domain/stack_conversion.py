"""Files of any kind to the document of a stack, as one step that a process of its own does (`clients/converter.py`)."""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from jsonschema_rs import Draft202012Validator

from services.deploy_svc.domain.compose import stack as compose
from services.deploy_svc.domain.findings import Finding, Findings, Place
from services.deploy_svc.domain.stack_file import stack as stack_file
from services.deploy_svc.domain.stack_source import COMPOSE, KONTENA, Converted, Source
from services.deploy_svc.domain.yaml_text import Budget, TooLarge

_STACK = re.compile(r"^stack\s*:", re.MULTILINE)
_TOO_LARGE = (
    "The files become too large when they are put together: fewer aliases, `extends` or variables, or several stacks."
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """`made` is None when there are errors, by place. `asked` are secrets of the vault that the result depends on."""

    made: Converted | None
    errors: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[Finding, ...] = ()
    asked: Collection[str] = ()


def convert(
    source: Source,
    *,
    kind: str | None,
    ignore_unsupported: bool,
    compose_schema: Draft202012Validator,
    known_secrets: Collection[str],
    chance: Callable[[int], bytes],
) -> Outcome:
    """What the files become. `known_secrets` exist in the vault, `chance` makes random bytes. Raises nothing."""
    findings = Findings(ignore_unsupported=ignore_unsupported)
    asked: set[str] = set()
    made: Converted | None = None
    try:
        if (kind or kind_of(source)) == KONTENA:
            vault = stack_file.Vault(known_secrets, asked)
            made = stack_file.convert(source, vault, chance, findings, Budget())
        else:
            made = compose.convert(source, compose_schema, findings, Budget())
    except TooLarge:
        Place(findings, "files").error(_TOO_LARGE)
    if findings.errors:
        made = None
    return Outcome(made, findings.errors, tuple(findings.warnings.values()), sorted(asked))


def kind_of(source: Source) -> str:
    """What the files look like: stack files say which `stack` they are."""
    names = [*source.order, *source.files]
    first = next((name for name in names if name in source.files and name != compose.ENV_FILE), None)
    if "kontena.yml" in names:
        return KONTENA
    return KONTENA if first is not None and _STACK.search(source.files[first]) else COMPOSE
