"""Failures of the agent that a user can read.

AgentError
├── ConfigInvalid      the assignment cannot become a container
├── ImageUnavailable   the image can neither be pulled nor found
├── NameTaken          a container that is not ours has the name
├── EngineRefused      the engine answered with an error
├── DataGone           volumes with the data of the instance were removed
├── StartRefused       the successor does not start, the container of before runs again
├── NotReady           the instance did not open its port
├── HookFailed         a pre_start hook did not end well
├── SecretsNeeded      only the master knows the values this container needs
├── MasterNeeded       only the master knows whether this may be done
├── Overtaken          something else is wanted meanwhile
└── EngineUnreachable  the engine does not answer; nothing is known, so nothing is reported
"""


class AgentError(Exception):
    """The message is shown to users as the error of the instance; it never holds a secret value."""


class ConfigInvalid(AgentError):
    """The assignment cannot become a container. Scripts look for the words that its message begins with."""

    def __init__(self, message: str) -> None:
        super().__init__(f"Kontena::Models::ServicePod::ConfigError: {message}")


class ImageUnavailable(AgentError):
    """The image can neither be pulled nor found on this node."""


class NameTaken(AgentError):
    """A container that is not ours has the name."""


class EngineRefused(AgentError):
    """The engine answered with an error. `status` is its HTTP status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class DataGone(AgentError):
    """Volumes that held the data of the instance do not exist any more; nothing takes their place by itself."""


class StartRefused(AgentError):
    """The successor of a container did not come to run, so the container of before was put back and runs again."""


class NotReady(AgentError):
    """The instance did not open its port."""


class SecretsNeeded(AgentError):
    """The container needs values that only the master knows, and the master has not been heard of since the start."""


class HookFailed(AgentError):
    """A pre_start hook did not end well, so the container does not start."""


class MasterNeeded(AgentError):
    """Only the master knows whether this may be done, and it cannot be asked at the moment."""


class Overtaken(AgentError):
    """Something else is wanted of the instance meanwhile, so what was begun is left; nobody is told."""


class EngineUnreachable(AgentError):
    """The engine does not answer; nothing is known, so nothing is reported."""
