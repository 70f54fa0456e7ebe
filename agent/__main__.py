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
from agent.settings import PREFIX, AgentSettings, EngineSettings
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
            print(_variable(problem["loc"]), problem["msg"], sep=": ", file=sys.stderr)  # noqa: T201
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


def _variable(place: tuple[int | str, ...]) -> str:
    """Where a wrong setting comes from: fields are read with a prefix, what has another name is said by that."""
    name = str(place[0]) if place else "settings"
    return f"{PREFIX}{name.upper()}" if name in AgentSettings.model_fields else name


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
