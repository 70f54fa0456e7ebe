"""`python -m agent` runs the node agent."""

import sys

import uvloop
from pydantic import ValidationError

from agent.app import serve
from agent.settings import AgentSettings
from services.kernel import logs


def main() -> int:
    """Run until SIGTERM; 2 when the settings are wrong, 1 when the agent cannot start."""
    try:
        settings = AgentSettings()
    except ValidationError as error:
        for problem in error.errors(include_input=False, include_url=False):
            print(".".join(map(str, problem["loc"])) or "settings", problem["msg"], sep=": ", file=sys.stderr)  # noqa: T201
        return 2
    settings.forget_environment()
    logs.configure("agent", settings.log_level)
    try:
        uvloop.run(serve(settings))
    except (RuntimeError, ValueError, OSError) as error:
        logs.get_logger(__name__).error("the agent cannot start", cause=str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
