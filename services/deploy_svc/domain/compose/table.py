"""Tables of keys: what becomes of each, and what somebody is told who used one that has no counterpart."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from services.deploy_svc.domain.compose.project import Project
from services.deploy_svc.domain.findings import Place

# Attributes of a service, as clients write them.
Attributes = dict[str, Any]
Convert = Callable[[Place, Any, Project], Attributes]
Table = Mapping[str, "Key"]


@dataclass(frozen=True, slots=True)
class Key:
    """`means`: what it becomes, or, where nothing converts it, what to do instead. With `members`, it is a mapping
    whose keys have rows of their own."""

    means: str
    convert: Convert | None = None
    members: Table | None = None

    @property
    def supported(self) -> bool:
        """Whether it may be used."""
        return self.convert is not None or self.members is not None


def value(attribute: str, read: Callable[[Place, Any], Any]) -> Key:
    """A key that becomes one attribute."""

    def convert(place: Place, given: Any, _: Project) -> Attributes:
        found = read(place, given)
        return {} if found is None else {attribute: found}

    return Key(f"`{attribute}`", convert)


def no_effect(why: str) -> Key:
    """A key that may be there and changes nothing."""
    return Key(why, lambda *_: {})


def kept(table: Table, place: Place, given: Any) -> Any:
    """What is given without what is not supported, which is told."""
    if not isinstance(given, Mapping):
        return given
    found: dict[str, Any] = {}
    for key, item in given.items():
        row = table.get(key)
        if key.startswith("x-"):
            found |= {key: item} if row is not None else {}
        elif row is None:
            place.at(key).unsupported("There is no such key here: look for a typing mistake, or leave it out.")
        elif not row.supported:
            place.at(key).unsupported(row.means)
        else:
            found[key] = item if row.members is None else kept(row.members, place.at(key), item)
    return found


def converted(table: Table, place: Place, given: Any, project: Project) -> Attributes:
    """The attributes that all of the keys make together."""
    found: Attributes = {}
    for key, item in given.items() if isinstance(given, Mapping) else ():
        if (row := table.get(key)) is None or item is None:
            continue
        if row.convert is not None:
            combine(found, row.convert(place.at(key), item, project))
        elif row.members is not None:
            combine(found, converted(row.members, place.at(key), item, project))
    return found


def combine(found: Attributes, more: Mapping[str, Any]) -> None:
    """Lists are appended, objects grow together, anything else is replaced."""
    for name, item in more.items():
        there = found.get(name)
        if isinstance(there, list) and isinstance(item, list):
            found[name] = [*there, *(one for one in item if one not in there)]
        elif isinstance(there, dict) and isinstance(item, dict):
            found[name] = {**there, **item}
        else:
            found[name] = item
