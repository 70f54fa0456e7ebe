"""Who may call whom: the one table. Services hold callers to it (authn.py), and the network policies of Kubernetes
follow from it (deploy/kubernetes/calls.py)."""

from collections.abc import Collection, Mapping

from services.kernel.errors import Forbidden

# Part: who calls it, and why.
CALLERS: Mapping[str, Mapping[str, str]] = {
    "auth-svc": {
        "gateway": "requests of users",
        "grid-svc": "tokens of callers, audit, members of grids",
        "deploy-svc": "tokens of callers, audit",
        "vault-svc": "tokens of callers, audit",
    },
    "grid-svc": {
        "gateway": "requests of users, sessions of agents",
        "auth-svc": "which grids exist",
        "deploy-svc": "nodes and grids",
        "deploy-engine": "nodes and grids",
        "vault-svc": "which grids exist",
    },
    "deploy-svc": {
        "gateway": "requests of users, streams of agents",
        "exec-bridge": "exec sessions",
        "grid-svc": "what it counts, events of grids",
        "vault-svc": "users of secrets, challenges",
        "deploy-svc": "commands to nodes whose stream another replica holds",
    },
    "vault-svc": {
        "gateway": "requests of users",
        "deploy-svc": "values for assignments, names of secrets",
    },
    "exec-bridge": {"gateway": "exec sessions over WebSocket"},
}
# Those that pass on what users and agents want, with their tokens; all others call for themselves, with a service's.
# None: any RPC that users and agents may call.
_PASS_ON: Mapping[str, Collection[str] | None] = {
    "gateway": None,
    "exec-bridge": ("kontena.deploy.v1.ContainerExecService",),
}


def part_of(path: str) -> str:
    """The part that serves the RPC `/kontena.<area>.v1.<Service>/<Method>`."""
    return f"{path.split('.')[1]}-svc"


def check_service(path: str, service: str) -> None:
    """Raises Forbidden for a service that has no business with the part that serves this RPC."""
    known = {_service_of(name) for name in CALLERS.get(part_of(path), ()) if name not in _PASS_ON}
    if service not in known:
        raise Forbidden


def check_certified(path: str, names: Collection[str], service: str | None) -> None:
    """Raises Forbidden unless one of the names in the certificate of the other end may make this call: for itself, as
    the `service` that the token beside it says, or (None) for a user, an agent or anybody."""
    for name in CALLERS.get(part_of(path), ()):
        if name in names and _may(name, path, service):
            return
    raise Forbidden("This part of the suite is not called by the one that your certificate names")


def _may(name: str, path: str, service: str | None) -> bool:
    if name not in _PASS_ON:
        return service == _service_of(name)
    only = _PASS_ON[name]
    return service is None and (only is None or path.split("/")[1] in only)


def _service_of(part: str) -> str:
    """What tokens call it: the engine is a role of deploy_svc."""
    return "deploy_svc" if part == "deploy-engine" else part.replace("-", "_")
