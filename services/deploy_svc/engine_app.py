"""The part of the composition root that is the engine: the loops that carry out deploys and keep services running."""

from services.clients.grids import GridDirectory
from services.clients.nodes import NodeDirectory
from services.deploy_svc.loops import container_mirror, deploy_history, grid_cleanup, log_quota
from services.deploy_svc.loops.container_mirror import ContainerMirror
from services.deploy_svc.loops.deploy_history import DeployHistory
from services.deploy_svc.loops.grid_cleanup import GridCleanup
from services.deploy_svc.loops.log_quota import LogQuota
from services.deploy_svc.loops.log_retention import LogRetention
from services.deploy_svc.loops.reconcile import ReconcileLoop
from services.deploy_svc.loops.rollout import RolloutLoop
from services.deploy_svc.loops.stacks import StackLoop
from services.deploy_svc.settings import Settings
from services.deploy_svc.store import stack_tables, tables
from services.deploy_svc.usecases.patience import Patience
from services.kernel import partitions
from services.kernel.db import Database
from services.kernel.listen import Listener
from services.kernel.loops import Supervisor

CHANNELS = (tables.SERVICE_CHANGED, stack_tables.STACK_CHANGED, tables.DEPLOY_ENDED)


class EngineParts:
    """Any number of engines work on one database: each claims what it works on."""

    def __init__(
        self,
        settings: Settings,
        db: Database,
        listener: Listener,
        directories: tuple[GridDirectory, NodeDirectory],
        patience: Patience,
    ) -> None:
        grids, nodes = directories
        self._rollout = RolloutLoop(db, listener, nodes, grids, patience)
        self._stacks = StackLoop(db, listener, nodes)
        self._reconcile = ReconcileLoop(db, nodes, grids, patience, period=settings.reconcile_seconds)
        self._mirror = ContainerMirror(db, nodes)
        self._history = DeployHistory(db)
        self._retention = LogRetention(db, settings.log_retention_days)
        self._quota = LogQuota(db, settings.log_quota_bytes, settings.log_total_bytes)
        self._cleanup = GridCleanup(db, grids)

    def supervise(self, supervisor: Supervisor) -> None:
        """Add the loops."""
        reconcile, mirror, cleanup = self._reconcile, self._mirror, self._cleanup
        supervisor.add("rollout", self._rollout.run)
        supervisor.add("stacks", self._stacks.run)
        supervisor.every("reconcile", reconcile.poll_seconds, reconcile.turn, reconcile.wake)
        supervisor.every("container_mirror", container_mirror.PERIOD_SECONDS, mirror.turn, mirror.wake)
        supervisor.every("deploy_history", deploy_history.PERIOD_SECONDS, self._history.turn)
        supervisor.every("log_retention", partitions.PERIOD_SECONDS, self._retention.turn)
        supervisor.every("log_quota", log_quota.PERIOD_SECONDS, self._quota.turn)
        supervisor.every("grid_cleanup", grid_cleanup.PERIOD_SECONDS, cleanup.turn, cleanup.wake)
