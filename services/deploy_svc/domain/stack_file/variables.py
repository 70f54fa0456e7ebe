"""The variables of a stack file, each with the value it has or gets."""

from collections.abc import Callable, Mapping
from typing import Any

from services.deploy_svc.domain.findings import Place
from services.deploy_svc.domain.stack_file.conditions import skipped
from services.deploy_svc.domain.stack_file.resolvers import ASKING, DERIVED, Vault, resolve
from services.deploy_svc.domain.stack_file.template import NeedsVault, VaultValue
from services.deploy_svc.domain.stack_file.types import Definition, text_of, typed

_MOST = 500


class Variables:
    """Values on demand: one may depend on others. The first source that has a value is taken: the request, `value`, the
    sources of `from` in their order, `default`."""

    def __init__(
        self,
        definitions: Any,
        given: Mapping[str, Any],
        builtin: Mapping[str, str],
        vault: Vault,
        *,
        files: Mapping[str, str],
        chance: Callable[[int], bytes],
        place: Place,
    ) -> None:
        self.vault, self.files, self.chance = vault, files, chance
        self._given, self._builtin, self._place = given, builtin, place
        self._definitions = self._read(definitions)
        self._values: dict[str, Any] = {}
        self._resolving: list[str] = []
        self._of_the_file: set[str] = set()
        # What `to` says: values by name in texts, and secrets to be written.
        self._texts: dict[str, str] = {}
        self.secrets: dict[str, str] = {}

    def resolve(self) -> None:
        """Give each its value; one that is required and has none is an error."""
        for name in self._definitions:
            self.value(name)
        for name in self._definitions:
            self._put(name)

    def given(self, name: str) -> Any:
        """What the request, or the file .env, says under a name."""
        return self._given.get(name)

    def value(self, name: str) -> Any:
        """The value of a variable, VaultValue for one of the vault, None without one."""
        if name in self._builtin:
            return self._builtin[name]
        if name not in self._definitions:
            return None
        if name not in self._values:
            if name in self._resolving:
                self._place.at(name).error(
                    f"Variables depend on one another: {' -> '.join(self._resolving)} -> {name}."
                )
                return None
            self._resolving.append(name)
            self._values[name] = self._valued(name, self._definitions[name], self._place.at(name))
            self._resolving.pop()
        return self._values[name]

    def text(self, name: str) -> str | None:
        """What `${NAME}` becomes; None when there is no such variable. Raises NeedsVault."""
        if name in self._texts:
            value: Any = self._values.get(self._texts[name])
        elif name in self._definitions or name in self._builtin:
            value = self.value(name)
        elif (value := self._given.get(name)) is None:
            return None
        if isinstance(value, VaultValue):
            raise NeedsVault
        return text_of(value)

    def for_templates(self) -> dict[str, Any]:
        """All of them by name."""
        return {**{name: self.value(name) for name in self._definitions}, **self._builtin}

    def to_keep(self) -> dict[str, Any]:
        """What a stack keeps: no secrets, and not what follows from the file anyway."""
        kept = {}
        for name, definition in self._definitions.items():
            value, source, target = self._values.get(name), _mapping(definition, "from"), _mapping(definition, "to")
            if value is not None and name not in self._of_the_file and "vault" not in source and "vault" not in target:
                kept[name] = value
        return kept

    def _valued(self, name: str, definition: Definition, place: Place) -> Any:
        if skipped(definition, self.value, place):
            return None
        value = self._given.get(name)
        if value is None:
            value = definition.get("value")
            self._of_the_file |= {name} if value is not None else set()
        for kind, hint in _mapping(definition, "from").items():
            if value is None and (value := resolve(kind, hint, name, self, place.at("from").at(kind))) is not None:
                self._of_the_file |= {name} if kind in DERIVED else set()
        if value is None:
            value = definition.get("default")
            self._of_the_file.add(name)
        if isinstance(value, VaultValue):
            return value
        found = typed(value, definition, place)
        if found is None and definition.get("required", True) is not False and definition.get("type") != "boolean":
            place.error(f"It has no value: give it in `variables` of the request.{_question(definition)}")
        return found

    def _put(self, name: str) -> None:
        """Carry out `to`."""
        value = self._values.get(name)
        target = _mapping(self._definitions[name], "to")
        if value is None:
            return
        if (alias := target.get("env")) is not None:
            self._texts[text_of(alias)] = name
        secret = target.get("vault")
        if isinstance(secret, str) and secret and not isinstance(value, VaultValue):
            self.secrets[secret] = text_of(value)

    def _read(self, definitions: Any) -> dict[str, Definition]:
        if not isinstance(definitions, Mapping):
            if definitions is not None:
                self._place.error("This takes a mapping of variables by name.")
            return {}
        if len(definitions) > _MOST:
            self._place.error(f"A stack file has {_MOST} variables at most.")
            return {}
        found: dict[str, Definition] = {}
        for name, definition in definitions.items():
            if isinstance(definition, Mapping):
                found[name] = definition
            else:
                self._place.at(name).error("This takes a mapping with a `type`.")
        return found


def _mapping(definition: Definition, key: str) -> Mapping[str, Any]:
    """`from` and `to`, which may be one word."""
    given = definition.get(key)
    return given if isinstance(given, Mapping) else {given: None} if isinstance(given, str) else {}


def _question(definition: Definition) -> str:
    asked = [text_of(hint) for kind, hint in _mapping(definition, "from").items() if kind in ASKING and hint]
    said = [text_of(definition[key]) for key in ("label", "description") if definition.get(key)]
    return f" ({(asked or said)[0][:200]})" if asked or said else ""
