"""The part of the composition root that is about stacks, volumes and repeated requests."""

from services.clients.grids import GridDirectory
from services.clients.nodes import NodeDirectory
from services.deploy_svc.clients.vault_directory import VaultDirectory
from services.deploy_svc.convert.stacks import part
from services.deploy_svc.loops import volume_removals
from services.deploy_svc.loops.volume_removals import VolumeRemovals
from services.deploy_svc.servicers.grid_configs import GridConfigServicer
from services.deploy_svc.servicers.stack_conversions import StackConversionServicer
from services.deploy_svc.servicers.stacks import StackServicer
from services.deploy_svc.servicers.volumes import VolumeServicer
from services.deploy_svc.usecases.dry_runs import DryRuns
from services.deploy_svc.usecases.grid_configs import GridConfigs
from services.deploy_svc.usecases.grid_quotas import GridQuotas
from services.deploy_svc.usecases.host_access import HostAccess
from services.deploy_svc.usecases.idempotency import Idempotency
from services.deploy_svc.usecases.node_commands import NodeCommands
from services.deploy_svc.usecases.patience import Patience
from services.deploy_svc.usecases.service_reads import ServiceReads
from services.deploy_svc.usecases.stack_conversions import StackConversions
from services.deploy_svc.usecases.stack_deploys import StackDeploys
from services.deploy_svc.usecases.stack_plans import StackPlans
from services.deploy_svc.usecases.stack_reads import StackReads
from services.deploy_svc.usecases.stack_revisions import StackRevisions
from services.deploy_svc.usecases.stacks import Stacks
from services.deploy_svc.usecases.volumes import Volumes
from services.kernel.db import Database
from services.kernel.listen import Wakes
from services.kernel.loops import Supervisor

_EXPIRE_SECONDS = 3600.0


class StackParts:
    """Made once per process; `once` and `dry_runs` are for other servicers too. `wakes` are by the ids of deploys."""

    def __init__(
        self,
        db: Database,
        directories: tuple[GridDirectory, NodeDirectory],
        vault: VaultDirectory,
        commands: NodeCommands,
        patience: Patience,
        *,
        hosts: HostAccess,
        quotas: GridQuotas,
        once: Idempotency,
        wakes: Wakes,
        reads: ServiceReads,
    ) -> None:
        grids, nodes = directories
        self.once = once
        self._removals = VolumeRemovals(db, nodes, commands)
        self.dry_runs = DryRuns(patience.views, patience.limits)
        deploys = StackDeploys(db, grids, vault, hosts, quotas, wakes=wakes)
        stacks = StackServicer(
            Stacks(db, grids, vault, hosts, quotas, reads=StackReads(db, reads, part)),
            deploys,
            StackPlans(db, grids, self.dry_runs, vault, hosts),
            StackRevisions(db, grids, deploys, vault, quotas),
            self.once,
        )
        volumes = Volumes(db, grids, self._removals.wake, hosts, quotas)
        self.servicers: list[object] = [
            stacks,
            StackConversionServicer(StackConversions(db, grids, vault)),
            VolumeServicer(volumes, self.once),
            GridConfigServicer(GridConfigs(db, grids, quotas, hosts), self.once),
        ]

    def supervise(self, supervisor: Supervisor) -> None:
        """Add the background work."""
        supervisor.every("idempotency", _EXPIRE_SECONDS, self.once.expire)
        removals = self._removals
        supervisor.every("volume_removals", volume_removals.PERIOD_SECONDS, removals.turn, removals.wake)
