"""What the node tells of its containers and is asked about them: mirror, events, stats, commands."""

import grpc

from agent.runtime.ports import Runtime
from agent.state import State
from agent.streams.commands import NodeCommands
from agent.streams.container_reporter import ContainerReporter
from agent.streams.event_shipper import EventShipper
from agent.streams.membership import Membership
from agent.streams.stats_shipper import StatsShipper
from services.kernel.loops import Supervisor


class Telemetry:
    """Made once per process. `events` takes events of instances."""

    def __init__(self, channel: grpc.aio.Channel, membership: Membership, runtime: Runtime, state: State) -> None:
        self.events = EventShipper(channel, membership)
        self._containers = ContainerReporter(channel, membership, runtime, state)
        self._stats = StatsShipper(channel, membership, runtime, state)
        self._commands = NodeCommands(channel, membership, runtime, state)

    def supervise(self, supervisor: Supervisor, stats_seconds: float) -> None:
        """Add the loops; containers are measured every `stats_seconds`."""
        supervisor.add("events", self.events.run)
        supervisor.add("container reports", self._containers.run)
        supervisor.add("container changes", self._containers.follow_engine)
        supervisor.add("stats", self._stats.run)
        supervisor.every("measure", stats_seconds, self._stats.measure)
        supervisor.add("commands", self._commands.run)
