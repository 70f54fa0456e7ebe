"""Services of a stack in order: each one after everything it links to (docs/spec/deploy_rest.md section 3.5)."""

from collections.abc import Mapping, Sequence


class BadLink(Exception):
    """Services cannot be ordered: `service` links to what is not there, or, in the end, to itself."""

    def __init__(self, service: str, message: str) -> None:
        super().__init__(message)
        self.service = service
        self.message = message


def ordered(links: Mapping[str, Sequence[str]]) -> list[str]:
    """The names in an order in which each follows its targets; stable. Raises BadLink for the first offender.

    `links` has, by service name in the order of the request, the names it links to within the stack.
    """
    for name, targets in links.items():
        if missing := [target for target in targets if target not in links]:
            text = f"service {name} has missing links: {', '.join(missing)}"
            raise BadLink(name, f"{text}; the stack has none of that name, and other stacks are named: stack/service")
    depths = _depths(links)
    for name in links:
        if name not in depths and (circle := _circle(name, links)) is not None:
            raise BadLink(name, f"service {name} has recursive links: {' -> '.join(circle)}")
    return sorted(links, key=lambda name: depths[name])


def _circle(start: str, links: Mapping[str, Sequence[str]]) -> list[str] | None:
    """The shortest way from `start` back to it."""
    ways, seen = [[start]], set[str]()
    while ways:
        way = ways.pop(0)
        for target in links[way[-1]]:
            if target == start:
                return [*way, start]
            if target not in seen:
                seen.add(target)
                ways.append([*way, target])
    return None


def _depths(links: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """Length of the longest chain of links from each name; names that lead into a circle are left out."""
    depths: dict[str, int] = {}
    linkers: dict[str, list[str]] = {name: [] for name in links}
    waiting = {name: len(set(targets)) for name, targets in links.items()}
    for name, targets in links.items():
        for target in set(targets):
            linkers[target].append(name)
    ready = [name for name, count in waiting.items() if count == 0]
    while ready:
        name = ready.pop()
        depths[name] = max((depths[target] + 1 for target in links[name]), default=0)
        for linker in linkers[name]:
            waiting[linker] -= 1
            if waiting[linker] == 0:
                ready.append(linker)
    return depths
