"""DNS names of a container on the network of its grid (docs/spec/orchestration.md section 7.6). Pure."""

ZONE = "kontena.local"


def names(*, hostname: str, service: str, domain: str, grid: str, stack: str, exposed: bool) -> list[str]:
    """All names that lead to the container, without duplicates. `hostname` is `<service>-<number>`; a name that
    several instances have leads to all of them. `domain` is empty or ends in the grid's domain."""
    if not hostname or not service:
        return []
    own = domain or f"{grid}.{ZONE}"
    number = hostname.rpartition("-")[2]
    found = [f"{service}.{own}", f"{hostname}.{own}"]
    if own == f"{grid}.{ZONE}":
        found += [f"{hostname}.{ZONE}", f"{service}.{ZONE}"]
    elif exposed and stack:
        found += [f"{stack}.{grid}.{ZONE}", f"{stack}-{number}.{grid}.{ZONE}"]
    return list(dict.fromkeys(found))
