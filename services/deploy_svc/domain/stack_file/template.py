"""A stack file as text: `$NAME` and `${NAME}` are variables, `$$` is a dollar sign, and Liquid tags are a template."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from services.deploy_svc.domain.findings import Place

_VARIABLE = re.compile(r"\$\$|\$\{([A-Za-z_]\w*)\}|\$([A-Za-z_]\w*)", re.ASCII)
_TAG = re.compile(r"\{%.*?%\}", re.DOTALL)
_OUTPUT = re.compile(r"\{\{.*?\}\}", re.DOTALL)


class VaultValue:
    """Stands for a value of the vault, which is not known here and is in no text."""

    def __str__(self) -> str:
        raise NeedsVault


class NeedsVault(Exception):
    """The text would have needed a value of the vault."""


def with_names(text: str, names: Mapping[str, str]) -> str:
    """The text with these variables replaced and all others left as they are, `$$` too."""
    return _VARIABLE.sub(lambda match: names.get(match[1] or match[2] or "", match[0]), text)


def with_variables(text: str, value: Callable[[str], str | None], place: Place) -> str:
    """The text with all variables replaced. Each that is not known is an error at `place`."""

    def replaced(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        if not name:
            return "$"
        try:
            found = value(name)
        except NeedsVault:
            _needs_vault(place, f"${{{name}}}")
            return ""
        if found is None:
            line = text.count("\n", 0, match.start()) + 1
            place.error(
                f"Line {line}: {name} is no variable: declare it under `variables`, give it in the request, or write "
                f"$${name} for the text ${name}."
            )
        return found or ""

    return _VARIABLE.sub(replaced, text)


def rendered(text: str, values: Mapping[str, Any], place: Place) -> str:
    """The text of the template. What is wrong with it is an error at `place`."""
    if "{%" not in text and "{{" not in text:
        return text
    # Most files are no templates, and the library takes long to load.
    from services.deploy_svc.domain.stack_file.liquid_template import LiquidError, render  # noqa: PLC0415

    try:
        return render(text, values)
    except NeedsVault:
        _needs_vault(place, "the template")
    except LiquidError as error:
        place.error(f"The template cannot be rendered: {str(error).splitlines()[0][:300]}")
    except (ArithmeticError, ValueError, TypeError, RecursionError) as error:
        place.error(f"The template cannot be rendered: {type(error).__name__}.")
    return ""


def block(text: str, key: str) -> str:
    """The lines of a top-level key, without tags of the template: the rest need not be valid before it is rendered."""
    found = re.search(rf"^{key}\s*:[^\n]*(?:\n(?:[ \t#][^\n]*)?)*", text, re.MULTILINE)
    return _OUTPUT.sub("x", _TAG.sub("", found[0])) if found else ""


def _needs_vault(place: Place, what: str) -> None:
    place.error(
        f"{what} needs a value of the vault, which is not read here: map it with `secrets` of the service, or give the "
        "value of the variable in the request."
    )
