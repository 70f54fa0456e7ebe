"""Stacks as the public command line sends them."""

from typing import Any

REDIS: dict[str, Any] = {
    "instances": None,
    "image": "redis:3-alpine",
    "env": ["PW=v"],
    "links": [],
    "external_links": [],
    "ports": [{"ip": "0.0.0.0", "container_port": "6379", "node_port": "6379", "protocol": "tcp"}],  # noqa: S104
    "volumes": [],
    "volumes_from": [],
    "affinity": [],
    "stateful": False,
    "deploy_opts": {"wait_for_port": None, "min_health": None, "interval": None},
    "hooks": {},
    "health_check": {
        "protocol": None, "uri": None, "port": None, "timeout": None, "interval": None, "initial_delay": None
    },
    "read_only": False,
    "log_driver": None,
    "log_opts": None,
    "name": "redis",
}  # fmt: skip


SIMPLE: dict[str, Any] = {
    "stack": "test/simple",
    "version": "0.1.0",
    "name": "simple",
    "registry": "file://",
    "expose": None,
    "services": [REDIS],
    "volumes": [],
    "dependencies": None,
    "source": "stack: test/simple\n",
    "variables": {"pw": "v"},
    "metadata": {},
    "parent": None,
}
