"""What tokens with less than the rights of their owner may call: `read`, and `grid:NAME:deploy` for a CI.

Which grid a token is for, auth_svc has seen to: its principal has access to no other.
"""

from services.kernel.errors import Forbidden
from services.kernel.methods import Method
from services.kernel.principal import Principal

# Besides all that only reads: to change services and stacks and to roll them out, not to remove them nor to enter them.
_SERVICE, _STACK = "/kontena.deploy.v1.ServiceService/", "/kontena.deploy.v1.StackService/"
DEPLOY_METHODS = frozenset(
    {_SERVICE + name for name in ("CreateService", "UpdateService", "DeployService", "ScaleService", "StartService")}
    | {_SERVICE + name for name in ("StopService", "RestartService", "AddServiceEnv", "RemoveServiceEnv")}
    | {_STACK + name for name in ("CreateStack", "UpdateStack", "DeployStack", "StopStack", "RestartStack")}
    | {_STACK + name for name in ("PlanStack", "PlanNewStack", "CancelStackDeploy", "DeployAndFollowStack")}
    | {_SERVICE + name for name in ("CancelServiceDeploy", "RollbackService", "PlanService", "DeployAndFollowService")}
    | {_SERVICE + name for name in ("RebalanceService", "PlanServiceRebalance", "RebalanceGrid", "PlanGridRebalance")}
    | {_STACK + "RollbackStack", "/kontena.deploy.v1.StackConversionService/ConvertStack"}
)


def check(principal: Principal, method: Method) -> None:
    """Raises Forbidden when the scopes of the caller's token do not reach as far as the method."""
    if not principal.is_limited or method.reads:
        return
    deploys = any(scope.startswith("grid:") and scope.endswith(":deploy") for scope in principal.scopes)
    if not (deploys and method.path in DEPLOY_METHODS):
        scopes = ", ".join(sorted(principal.scopes))
        raise Forbidden(f"The access token has the scope {scopes}, which is not enough", reason="INSUFFICIENT_SCOPE")
