"""The paths of the bridge, and what an upgrade request asks for: which container, with which flags."""

import re
from typing import NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

from kontena.deploy.v1 import container_exec_pb2 as pb

HEALTH = "/healthz"
# grid, node, container; routes.py sends exactly these paths here.
PATH = "/v1/containers/[^/]+/[^/]+/[^/]+/exec"
# Upgrades of shorter paths come here as well: they name no container, and deploy_svc says so to whoever may know.
UPGRADE_PATH = "/v1/containers/([^/]+(?:/[^/]+){0,2})/exec"
_PATH = re.compile(UPGRADE_PATH)


class Target(NamedTuple):
    """A container by its path, and the flags of the query; only the literal `true` turns one on."""

    container: str
    interactive: bool
    tty: bool
    shell: bool

    def start(self) -> pb.ExecStart:
        """The first message of the gRPC stream."""
        return pb.ExecStart(id=self.container, interactive=self.interactive, tty=self.tty, shell=self.shell)


def parse(path: str) -> Target | None:
    """The target of a request's path with its query; None when it is another path."""
    parts = urlsplit(path)
    found = _PATH.fullmatch(parts.path)
    if found is None:
        return None
    flags = parse_qs(parts.query)
    container = "/".join(map(unquote, found[1].split("/")))
    return Target(container, *(flags.get(name, [""])[-1] == "true" for name in ("interactive", "tty", "shell")))
