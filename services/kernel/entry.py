"""What `python -m services.<name> [command]` does, in every service."""

import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Generic, TypeVar

import sqlalchemy as sa

from services.kernel import logs, server, tracing
from services.kernel.server import Application
from services.kernel.settings import ServiceSettings

S = TypeVar("S", bound=ServiceSettings)
# Returns the exit status; None is 0.
Command = Callable[..., int | None]


@dataclass(frozen=True, slots=True)
class Program(Generic[S]):
    """A service as a process: its settings come from the environment, `migrations` is the folder of them."""

    name: str
    settings: type[S]
    build: Callable[[S], Awaitable[Application]]
    migrations: Path
    metadata: sa.MetaData

    def run(self, arguments: Sequence[str], commands: Mapping[str, Command]) -> int:
        """As `run` below: without arguments it serves, `migrate` migrates, unless a command of the service
        itself says so."""
        return run(self.name, arguments, {"": self.serve, "migrate": self.migrate, **commands})

    def configure(self) -> S:
        """The settings of this process, with logs and traces set up."""
        settings = self.settings()  # type: ignore[call-arg]  # The environment fills it.
        logs.configure(self.name, settings.log_level)
        tracing.configure(self.name, settings.traces_collector)
        return settings

    def serve(self) -> None:
        """Serve until SIGTERM."""
        settings = self.configure()
        server.run(settings, partial(self.build, settings))

    def migrate(self, settings: S | None = None) -> None:
        """Bring the schema up to date: that of the settings, or of this process."""
        # Only here: a service that serves is spared alembic.
        from services.kernel.migrations import migrate  # noqa: PLC0415

        migrate((settings or self.configure()).database_url, self.migrations, self.metadata)


def run(service: str, arguments: Sequence[str], commands: Mapping[str, Command]) -> int:
    """Run the command that is asked for and return its exit status; 2, with all of them on standard error, for one that
    there is not. Keys are the words of a command: capitals stand for an argument, `...` for the list of the rest."""
    for words, command in commands.items():
        given = _given(words.split(), list(arguments))
        if given is not None:
            return command(*given) or 0
    sys.stderr.write(f"usage: python -m services.{service} [{' | '.join(filter(None, commands))}]\n")
    return 2


def _given(words: list[str], arguments: list[str]) -> list[object] | None:
    """What a command is called with, None when the arguments are not its words."""
    if words[-1:] == ["..."]:
        head = len(words) - 1
        return [arguments[head:]] if arguments[:head] == words[:-1] else None
    if len(words) != len(arguments):
        return None
    pairs = list(zip(words, arguments, strict=True))
    if any(word != argument for word, argument in pairs if not word.isupper()):
        return None
    return [argument for word, argument in pairs if word.isupper()]
