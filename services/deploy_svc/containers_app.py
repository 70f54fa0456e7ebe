"""The part of the composition root that is about containers: mirror, commands, logs, events and stats."""

from services.clients.grids import GridDirectory
from services.clients.nodes import NodeDirectory
from services.deploy_svc.clients.command_relay import CommandRelay
from services.deploy_svc.own_address import own_address
from services.deploy_svc.servicers.container_execs import ContainerExecServicer
from services.deploy_svc.servicers.container_logs import ContainerLogServicer
from services.deploy_svc.servicers.container_reports import ContainerReportServicer
from services.deploy_svc.servicers.container_stats import ContainerStatsServicer, StatsIngestServicer
from services.deploy_svc.servicers.containers import ContainerServicer
from services.deploy_svc.servicers.event_logs import EventIngestServicer, EventLogServicer
from services.deploy_svc.servicers.grid_events import GridEventServicer
from services.deploy_svc.servicers.instances import InstanceServicer
from services.deploy_svc.servicers.node_commands import CommandRelayServicer, NodeCommandServicer
from services.deploy_svc.settings import Settings
from services.deploy_svc.store import event_tables, tables
from services.deploy_svc.usecases.container_commands import ContainerCommands
from services.deploy_svc.usecases.container_logs import ContainerLogs
from services.deploy_svc.usecases.container_paths import ContainerAccess
from services.deploy_svc.usecases.container_reports import ContainerReports
from services.deploy_svc.usecases.container_stats import ContainerStats, StatsIngest
from services.deploy_svc.usecases.containers import Containers
from services.deploy_svc.usecases.event_logs import EventIngest, EventLogs
from services.deploy_svc.usecases.grid_events import GridEvents
from services.deploy_svc.usecases.instances import Instances
from services.deploy_svc.usecases.node_commands import NodeCommands
from services.deploy_svc.usecases.service_paths import Access
from services.kernel.cluster_token import ClusterTokens
from services.kernel.db import Database
from services.kernel.listen import Listener, Wakes
from services.kernel.loops import Supervisor

CHANNELS = (tables.LOGS_ARRIVED, event_tables.EVENTS_ARRIVED)


class ContainerParts:
    """Made once per process; `commands` reach nodes."""

    def __init__(
        self,
        settings: Settings,
        tokens: ClusterTokens,
        db: Database,
        listener: Listener,
        directories: tuple[GridDirectory, NodeDirectory],
        *,
        access: Access,
    ) -> None:
        grids, nodes = directories
        self._relay = CommandRelay(tokens, "deploy_svc", settings.callee("deploy-svc"))
        self._log_wakes = Wakes(listener, tables.LOGS_ARRIVED)
        self._event_wakes = Wakes(listener, event_tables.EVENTS_ARRIVED)
        paths = ContainerAccess(db, grids, nodes)
        self.commands = NodeCommands(db, nodes, own_address(settings), self._relay)
        logs = ContainerLogs(db, grids, nodes, (access, paths), self._log_wakes)
        events = EventLogs(db, grids, nodes, access, self._event_wakes)
        asked = ContainerCommands(db, paths, self.commands, access.hosts)
        containers = ContainerServicer(Containers(db, grids, nodes, access, paths), asked)
        self.servicers: list[object] = [
            containers,
            ContainerLogServicer(logs),
            ContainerReportServicer(ContainerReports(db, nodes)),
            InstanceServicer(Instances(db, nodes, access)),
            EventLogServicer(events),
            EventIngestServicer(EventIngest(db, nodes)),
            GridEventServicer(GridEvents(db)),
            ContainerStatsServicer(ContainerStats(db, grids, access, paths)),
            StatsIngestServicer(StatsIngest(db, nodes)),
            ContainerExecServicer(asked),
            NodeCommandServicer(self.commands),
            CommandRelayServicer(self.commands),
        ]

    def supervise(self, supervisor: Supervisor) -> None:
        """Add the background loops."""
        supervisor.add("log_wakes", self._log_wakes.run)
        supervisor.add("event_wakes", self._event_wakes.run)

    async def close(self) -> None:
        """Close the channels to other replicas."""
        await self._relay.close()
