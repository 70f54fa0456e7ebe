"""What `python -m services.<name> [command]` does, in every service."""

import sys
from collections.abc import Callable, Mapping, Sequence

# Returns the exit status; None is 0.
Command = Callable[..., int | None]


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
