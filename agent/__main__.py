"""`python -m agent` runs the node agent; `python -m agent remove-containers` removes what a stopped one has run."""

import sys
from collections.abc import Sequence

import uvloop
from pydantic import ValidationError

from agent.app import serve
from agent.domain.errors import AgentError
from agent.removal import remove_containers
from agent.settings import AgentSettings
from services.kernel import logs

_REMOVE = "remove-containers"


def main(arguments: Sequence[str]) -> int:
    """Run until SIGTERM; 2 when the settings or arguments are wrong, 1 when the agent cannot do it."""
    if list(arguments) not in ([], [_REMOVE]):
        print(f"usage: python -m agent [{_REMOVE}]", file=sys.stderr)  # noqa: T201
        return 2
    try:
        settings = AgentSettings()
    except ValidationError as error:
        for problem in error.errors(include_input=False, include_url=False):
            print(".".join(map(str, problem["loc"])) or "settings", problem["msg"], sep=": ", file=sys.stderr)  # noqa: T201
        return 2
    settings.forget_environment()
    logs.configure("agent", settings.log_level)
    try:
        if arguments:
            removed = uvloop.run(remove_containers(settings))
            print(f"removed {removed} containers")  # noqa: T201
        else:
            uvloop.run(serve(settings))
    except (AgentError, RuntimeError, ValueError, OSError) as error:
        logs.get_logger(__name__).error("the agent cannot go on", cause=str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
