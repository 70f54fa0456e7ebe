"""Who may call whom in a cluster: the NetworkPolicies that follow from the one table, services/kernel/callers.py.

`python -m deploy.kubernetes.calls` writes `base/network-policies.yaml`; a test holds that it is current.
"""

from pathlib import Path
from typing import Any

import yaml

from services.kernel.callers import CALLERS

# Port of each part, by the name of the port.
PORTS = {
    "auth-svc": {"grpc": 7401},
    "grid-svc": {"grpc": 7402},
    "deploy-svc": {"grpc": 7403},
    # For health checks only; those of Kubernetes come through whatever a policy says.
    "deploy-engine": {"grpc": 7403},
    "vault-svc": {"grpc": 7404},
    "exec-bridge": {"http": 7405},
    "gateway": {"public": 9292},
}
METRICS_PORT = 9100
# The gateway is for everybody; it is what stands between them and the rest.
PUBLIC = frozenset({"gateway"})

TARGET = Path(__file__).parent / "base" / "network-policies.yaml"


def policies() -> list[dict[str, Any]]:
    """One policy per part: its callers on its port, Prometheus on the metrics port, nobody else."""
    found = []
    for part, ports in PORTS.items():
        callers = [{"podSelector": {"matchLabels": _labels(caller)}} for caller in CALLERS.get(part, {})]
        rule: dict[str, Any] = {"ports": [{"port": port} for port in ports.values()]}
        scrape = {
            "from": [{"namespaceSelector": {"matchLabels": {"kontena.io/monitoring": "true"}}}],
            "ports": [{"port": METRICS_PORT}],
        }
        if part in PUBLIC:
            found.append(_policy(part, [rule, scrape]))
        else:
            found.append(_policy(part, [{"from": callers, **rule}, scrape] if callers else [scrape]))
    return found


def render() -> str:
    """The file as it is committed."""
    head = "# Made by `python -m deploy.kubernetes.calls` from its table; change that.\n"
    return head + yaml.safe_dump_all(policies(), sort_keys=False)


def _policy(part: str, ingress: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": part},
        "spec": {"podSelector": {"matchLabels": _labels(part)}, "policyTypes": ["Ingress"], "ingress": ingress},
    }


def _labels(part: str) -> dict[str, str]:
    return {"app.kubernetes.io/part-of": "kontena", "app.kubernetes.io/component": part}


if __name__ == "__main__":
    TARGET.write_text(render())
