"""Which attributes a grid may be given (docs/spec/auth_grid.md section 11.3).

Checks run in two phases: format errors of all attributes first, and only when there are none the ones that
`deeper_errors` finds, together with those that need the caller or the database.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from services.grid_svc.domain.grid import HOST_ACCESS, Logs, Statsd, is_subnet
from services.grid_svc.domain.join_token import given_token
from services.grid_svc.domain.log_target import FLUENTD_ADDRESS
from services.grid_svc.domain.network import LONGEST_NODE_PREFIX, MODES, Network
from services.kernel.validation import Checker, clean

_NAME = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
_FORWARDERS = ("fluentd", "none")
_LONGEST_NAME = 200
_LONGEST_TEXT = 255
_MOST_ELEMENTS = 100
_LONGEST_OPTION = 1024
NAME_TAKEN = "Grid with name {} already exists"
NOT_ALLOWED = "Operation not allowed"


@dataclass(frozen=True, slots=True)
class StatsdInput:
    """A statsd endpoint as given."""

    server: str | None = None
    port: int | None = None


@dataclass(frozen=True, slots=True)
class StatsInput:
    """`statsd` None turns the export off."""

    statsd: StatsdInput | None = None


@dataclass(frozen=True, slots=True)
class LogsInput:
    """Log forwarding as given."""

    forwarder: str | None
    opts: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class NetworkInput:
    """Network settings as given; None leaves one as it is."""

    mode: str | None = None
    node_prefix: int | None = None


@dataclass(frozen=True, slots=True)
class GridChanges:
    """The attributes that can change; None leaves one as it is."""

    default_affinity: Sequence[str] | None = None
    trusted_subnets: Sequence[str] | None = None
    stats: StatsInput | None = None
    logs: LogsInput | None = None
    network: NetworkInput | None = None
    host_access: str | None = None


@dataclass(frozen=True, slots=True)
class NewGrid:
    """The attributes of a new grid; None takes the default."""

    name: str | None = None
    initial_size: int | None = None
    token: str | None = None
    subnet: str | None = None
    supernet: str | None = None
    changes: GridChanges = GridChanges()


def check_new(given: NewGrid) -> NewGrid:
    """The cleaned attributes. Raises ValidationFailed with every format error."""
    checker = Checker()
    changes = _check_changes(checker, given.changes)
    checked = NewGrid(
        name=checker.text("name", given.name, shortest=3, longest=_LONGEST_NAME, pattern=_NAME),
        initial_size=checker.number("initial_size", given.initial_size, smallest=1, biggest=7),
        token=given_token(checker, given.token),
        subnet=checker.text("subnet", given.subnet, longest=_LONGEST_TEXT),
        supernet=checker.text("supernet", given.supernet, longest=_LONGEST_TEXT),
        changes=changes,
    )
    checker.done()
    return checked


def check_changes(given: GridChanges) -> GridChanges:
    """The cleaned attributes. Raises ValidationFailed with every format error."""
    checker = Checker()
    checked = _check_changes(checker, given)
    checker.done()
    return checked


def deeper_errors(checked: NewGrid) -> dict[str, Any]:
    """Errors of the second phase, by attribute."""
    errors: dict[str, Any] = {}
    for attribute, subnet in (("subnet", checked.subnet), ("supernet", checked.supernet)):
        if subnet is not None and not is_subnet(subnet):
            errors[attribute] = f"Invalid {attribute} {subnet}"
    for subnet in checked.changes.trusted_subnets or ():
        if not is_subnet(subnet):
            # The last bad one is named, as clients know it.
            errors["trusted_subnets"] = f"Invalid trusted_subnet {subnet}"
    logs = checked.changes.logs
    if logs is not None and logs.forwarder == "fluentd" and not logs.opts.get(FLUENTD_ADDRESS):
        errors["logs"] = f"{FLUENTD_ADDRESS} option must be given"
    return errors


def statsd_of(stats: StatsInput | None) -> Statsd | None:
    """The endpoint that checked input asks for."""
    given = stats.statsd if stats else None
    return Statsd(given.server, given.port) if given and given.server and given.port else None


def logs_of(logs: LogsInput | None) -> Logs | None:
    """The forwarding that checked input asks for."""
    return Logs(logs.forwarder, dict(logs.opts)) if logs and logs.forwarder and logs.forwarder != "none" else None


def network_of(network: NetworkInput | None, before: Network) -> Network:
    """The settings that checked input asks for."""
    if network is None:
        return before
    return Network(network.mode or before.mode, network.node_prefix or before.node_prefix)


def _check_changes(checker: Checker, given: GridChanges) -> GridChanges:
    return GridChanges(
        default_affinity=_texts(checker, "default_affinity", given.default_affinity),
        trusted_subnets=_texts(checker, "trusted_subnets", given.trusted_subnets),
        stats=_stats(checker, given.stats),
        logs=_logs(checker, given.logs),
        network=_network(checker, given.network),
        host_access=checker.text("host_access", given.host_access, options=HOST_ACCESS),
    )


def _texts(checker: Checker, attribute: str, given: Sequence[str] | None) -> Sequence[str] | None:
    if given is None:
        return None
    return tuple(checker.texts(attribute, given, longest=_LONGEST_TEXT, most=_MOST_ELEMENTS))


def _stats(checker: Checker, given: StatsInput | None) -> StatsInput | None:
    if given is None or given.statsd is None:
        return given
    inner = Checker()
    statsd = StatsdInput(
        inner.text("server", given.statsd.server, required=True, longest=_LONGEST_TEXT),
        inner.number("port", given.statsd.port, required=True, smallest=1, biggest=65535),
    )
    outer = Checker()
    outer.nested("statsd", inner)
    checker.nested("stats", outer)
    return replace(given, statsd=statsd)


def _network(checker: Checker, given: NetworkInput | None) -> NetworkInput | None:
    if given is None:
        return None
    inner = Checker()
    checked = NetworkInput(
        inner.text("mode", given.mode, options=MODES),
        inner.number("node_prefix", given.node_prefix, smallest=8, biggest=LONGEST_NODE_PREFIX),
    )
    checker.nested("network", inner)
    return checked


def _logs(checker: Checker, given: LogsInput | None) -> LogsInput | None:
    if given is None:
        return None
    inner = Checker()
    forwarder = inner.text("forwarder", given.forwarder, required=True, options=_FORWARDERS)
    opts = {clean(key): clean(value) for key, value in given.opts.items()}
    if len(opts) > _MOST_ELEMENTS:
        inner.fail("opts", f"Opts has too many elements (maximum is {_MOST_ELEMENTS})")
    elif any(len(key) > _LONGEST_TEXT or len(value) > _LONGEST_OPTION for key, value in opts.items()):
        inner.fail("opts", f"Opts has a name or value that is too long (maximum is {_LONGEST_OPTION} characters)")
    checker.nested("logs", inner)
    return LogsInput(forwarder, opts)
