"""Grid messages."""

from collections.abc import Collection

from kontena.grid.v1 import grid_pb2 as pb
from services.grid_svc.domain.grid import Grid, Logs, Statsd
from services.grid_svc.domain.grid_input import GridChanges, LogsInput, NetworkInput, NewGrid, StatsdInput, StatsInput
from services.grid_svc.usecases.grids import GridView
from services.kernel.members import given


def grid_to_proto(view: GridView) -> pb.Grid:
    """A grid with its counts."""
    grid, counts = view.grid, view.counts
    return pb.Grid(
        id=grid.name,
        name=grid.name,
        token=grid.token,
        initial_size=grid.initial_size,
        stats=stats_to_proto(grid.statsd),
        default_affinity=grid.default_affinity,
        trusted_subnets=grid.trusted_subnets,
        node_count=counts.nodes,
        service_count=counts.services,
        container_count=counts.containers,
        user_count=counts.users,
        subnet=grid.subnet,
        supernet=grid.supernet,
        logs=logs_to_proto(grid.logs),
        network=network_to_proto(grid),
        host_access=grid.host_access,
    )


def stats_to_proto(statsd: Statsd | None) -> pb.GridStats:
    """Metrics export; the object is there even when it is off."""
    return pb.GridStats(statsd=pb.Statsd(server=statsd.server, port=statsd.port) if statsd else None)


def logs_to_proto(value: Logs | None) -> pb.GridLogs | None:
    """Log forwarding, absent when it is not configured."""
    return pb.GridLogs(forwarder=value.forwarder, opts=value.opts) if value else None


def network_to_proto(grid: Grid) -> pb.GridNetwork:
    """Network settings with the values that are in force."""
    return pb.GridNetwork(mode=grid.network.mode, node_prefix=grid.blocks.prefix)


def new_grid_from_proto(request: pb.CreateGridRequest) -> NewGrid:
    """The attributes of a new grid; an attribute that is null is absent."""
    size = request.initial_size if request.HasField("initial_size") else None
    alias = request.initial_size_alias if request.HasField("initial_size_alias") else None
    return NewGrid(
        **given(request, "name", "token", "subnet", "supernet"),
        initial_size=alias if size is None else size,
        changes=GridChanges(
            default_affinity=request.default_affinity,
            trusted_subnets=request.trusted_subnets,
            stats=_stats_input(request),
            logs=_logs_input(request),
            network=_network_input(request),
            **given(request, "host_access"),
        ),
    )


def changes_from_proto(request: pb.UpdateGridRequest, present: Collection[str]) -> GridChanges:
    """The attributes a request sets: `request` has only those, `present` are their names.

    An object that is null stays as it is; a list that is null cannot be told from an empty one, and clears.
    """
    affinity, trusted = request.default_affinity, request.trusted_subnets
    stats_given, logs_given = _stats_input(request), _logs_input(request)
    return GridChanges(
        default_affinity=list(affinity) if affinity or "default_affinity" in present else None,
        trusted_subnets=list(trusted) if trusted or "trusted_subnets" in present else None,
        # In a field mask, as opposed to a JSON body, an object that is named and not set is to be cleared.
        stats=StatsInput() if stats_given is None and "stats" in present else stats_given,
        logs=LogsInput("none", {}) if logs_given is None and "logs" in present else logs_given,
        network=_network_input(request),
        **given(request, "host_access"),
    )


def _stats_input(request: pb.CreateGridRequest | pb.UpdateGridRequest) -> StatsInput | None:
    if not request.HasField("stats"):
        return None
    if not request.stats.HasField("statsd"):
        return StatsInput()
    return StatsInput(StatsdInput(**given(request.stats.statsd, "server", "port")))


def _network_input(request: pb.CreateGridRequest | pb.UpdateGridRequest) -> NetworkInput | None:
    return NetworkInput(**given(request.network, "mode", "node_prefix")) if request.HasField("network") else None


def _logs_input(request: pb.CreateGridRequest | pb.UpdateGridRequest) -> LogsInput | None:
    if not request.HasField("logs"):
        return None
    return LogsInput(**given(request.logs, "forwarder"), opts=dict(request.logs.opts))
