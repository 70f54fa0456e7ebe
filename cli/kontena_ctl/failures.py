"""How a command ends: exit codes, and failures in words for people."""

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes of every command. Others come from the command that `exec` ran."""

    OK = 0
    ERROR = 1
    USAGE = 2
    DEPLOY_FAILED = 3
    ROLLED_BACK = 4
    TIMED_OUT = 5
    DETACHED = 130


class Failure(Exception):
    """What went wrong, in one sentence, and what to do next."""

    def __init__(self, message: str, *hints: str, code: Exit = Exit.ERROR) -> None:
        super().__init__(message)
        self.message = message
        self.hints = hints
        self.code = code
