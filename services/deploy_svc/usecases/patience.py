"""How long lost nodes are waited for: one answer for deploys, the loops and dry runs."""

from services.clients.nodes import NodeDirectory
from services.deploy_svc.clients.node_views import MISTRUST_SECONDS, NodeViews
from services.deploy_svc.domain.reconcile import Pace
from services.deploy_svc.domain.rollout_plan import OFFLINE_SECONDS, Limits


class Patience:
    """Made once per process from GRACE_FACTOR; `views` show the nodes with it, `limits` and `pace` go by it."""

    def __init__(self, nodes: NodeDirectory, factor: float = 1.0) -> None:
        self.views = NodeViews(nodes, MISTRUST_SECONDS * factor)
        self.limits = Limits(offline=OFFLINE_SECONDS * factor)
        self.pace = Pace(grace=factor)
