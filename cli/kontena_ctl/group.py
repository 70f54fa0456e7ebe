"""The root of the commands, which loads the one that is called."""

from collections.abc import Iterator, MutableMapping
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from kontena_ctl.index import COMMANDS, SECTIONS


def load(name: str) -> Any:
    """The command or group of this name, from its module: `app`, a group, or one of several commands."""
    module = import_module(f"kontena_ctl.commands.{COMMANDS[name].module}")
    found = get_command(module.app)
    commands = getattr(found, "commands", {})
    one = commands[name] if name in commands and not getattr(module, "GROUP", False) else found
    one.name = name
    return one


class _Lazy(MutableMapping[str, Any]):
    def __init__(self) -> None:
        self._loaded: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in COMMANDS:
            raise KeyError(name)
        if name not in self._loaded:
            self._loaded[name] = load(name)
        return self._loaded[name]

    def __setitem__(self, name: str, command: Any) -> None:
        self._loaded[name] = command

    def __delitem__(self, name: str) -> None:
        del self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


class Root(TyperGroup):
    """Lists its commands from the index, by section."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = _Lazy()

    def list_commands(self, ctx: Any) -> list[str]:
        """In the order of the index."""
        return list(COMMANDS)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """A section for each one of the index."""
        for section, entries in SECTIONS.items():
            with formatter.section(section):
                formatter.write_dl([(name, entry.about) for name, entry in entries.items()])

    def shell_complete(self, ctx: Any, incomplete: str) -> Any:
        """Names from the index."""
        from typer._click.shell_completion import CompletionItem  # noqa: PLC0415

        return [CompletionItem(n, help=e.about) for n, e in COMMANDS.items() if n.startswith(incomplete)]


root = typer.Typer(
    cls=Root,
    add_completion=False,
    rich_markup_mode=None,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


_EPILOG = (
    "Each command tells more with --help. Exit codes: 0 as asked, 1 error, 2 wrong use, 3 deploy failed, "
    "4 rolled back, 5 timed out."
)


@root.callback(epilog=_EPILOG)
def _about() -> None:
    """Runs containers on a group of machines, and tells why when something cannot be done."""
