"""What somebody changed by hand about a container that runs as it should otherwise. Pure: the caller looks and repairs.

Safe is what touches neither the process nor its connections: it is repaired at once. The rest is told in the state of
the instance and repaired with the next deploy, when the user asks for the service anew.
"""

import enum
from collections.abc import Collection, Mapping
from dataclasses import dataclass


class Repair(enum.Enum):
    """One step that brings a container back to what was assigned."""

    RENAME = "rename"
    CONNECT = "connect"
    RECONNECT = "reconnect"
    FORBID_RESTARTS = "forbid restarts"
    UNPAUSE = "unpause"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the assignment says; `network` is empty when the container shares none of the grid's."""

    name: str
    network: str = ""
    aliases: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class Seen:
    """What the engine says; `networks` are the aliases by network."""

    name: str
    networks: Mapping[str, Collection[str]]
    restart_policy: str = ""
    paused: bool = False


@dataclass(frozen=True, slots=True)
class Drift:
    """One difference, in words that a user can read; without a `repair` the words are all that is done about it."""

    words: str
    repair: Repair | None = None


def compare(wanted: Wanted, seen: Seen, *, fresh: bool) -> tuple[Drift, ...]:
    """All differences. `fresh`: a deploy that was not applied yet asks for the container, so nothing is left as it
    is."""
    found = []
    if seen.paused:
        words = f"container {seen.name} was paused by hand"
        found.append(_when_fresh(words, Repair.UNPAUSE, "unpause it, or deploy the service", fresh=fresh))
    if seen.name != wanted.name:
        found.append(Drift(f"container {wanted.name} was renamed to {seen.name}", Repair.RENAME))
    if seen.restart_policy not in ("", "no"):
        words = f"container {seen.name} was given the restart policy {seen.restart_policy} of the engine"
        found.append(Drift(words, Repair.FORBID_RESTARTS))
    if wanted.network and wanted.network not in seen.networks:
        found.append(Drift(f"container {seen.name} was taken off the network {wanted.network}", Repair.CONNECT))
    elif wanted.network and wanted.aliases and not set(wanted.aliases) & set(seen.networks[wanted.network]):
        # Taking it off once more would cut its connections.
        words = f"container {seen.name} was put on the network {wanted.network} by hand, where nobody finds it by name"
        found.append(_when_fresh(words, Repair.RECONNECT, "deploy the service", fresh=fresh))
    return tuple(found)


def shows_in_list(wanted: Wanted, name: str, networks: Collection[str]) -> bool:
    """Whether a list of containers, which says less, shows a difference already."""
    return name != wanted.name or (wanted.network != "" and wanted.network not in networks)


def _when_fresh(words: str, repair: Repair, advice: str, *, fresh: bool) -> Drift:
    return Drift(words, repair) if fresh else Drift(f"{words}; {advice}")
