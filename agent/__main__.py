"""`python -m agent` runs the node agent; `remove-containers` removes what a stopped one has run, `rotate-network-key`
gives a running one another key pair for its network."""

import sys
from collections.abc import Sequence

import uvloop
from pydantic import ValidationError

from agent.app import serve
from agent.domain.errors import AgentError
from agent.network.network import request_rotation
from agent.removal import remove_containers
from agent.settings import AgentSettings, EngineSettings
from services.kernel import logs

_REMOVE, _ROTATE = "remove-containers", "rotate-network-key"


def main(arguments: Sequence[str]) -> int:
    """Run until SIGTERM; 2 when the settings or arguments are wrong, 1 when the agent cannot do it."""
    if list(arguments) not in ([], [_REMOVE], [_ROTATE]):
        print(f"usage: python -m agent [{_REMOVE} | {_ROTATE}]", file=sys.stderr)  # noqa: T201
        return 2
    try:
        # Who only takes away what ran here joins nothing, and needs no token.
        settings = EngineSettings() if arguments else AgentSettings()
    except ValidationError as error:
        for problem in error.errors(include_input=False, include_url=False):
            print(".".join(map(str, problem["loc"])) or "settings", problem["msg"], sep=": ", file=sys.stderr)  # noqa: T201
        return 2
    logs.configure("agent", settings.log_level)
    try:
        if list(arguments) == [_ROTATE]:
            request_rotation(settings.state_dir)
        elif isinstance(settings, AgentSettings):
            settings.forget_environment()
            uvloop.run(serve(settings))
        else:
            removed = uvloop.run(remove_containers(settings))
            print(f"removed {removed} containers")  # noqa: T201
    except (AgentError, RuntimeError, ValueError, OSError) as error:
        logs.get_logger(__name__).error("the agent cannot go on", cause=str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
