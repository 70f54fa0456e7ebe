"""What a node is asked to do at once, and what it answers."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Exec:
    """Run a program in a container."""

    container_id: str
    cmd: tuple[str, ...]
    stdin: bool = False
    tty: bool = False


@dataclass(frozen=True, slots=True)
class Inspect:
    """Show the engine's description of a container."""

    container_id: str


@dataclass(frozen=True, slots=True)
class Top:
    """Show the processes of a container."""

    container_id: str


@dataclass(frozen=True, slots=True)
class RemoveVolume:
    """Remove a named volume of the engine with its data."""

    name: str


@dataclass(frozen=True, slots=True)
class Input:
    """Input of a program; `end` says that no more follows."""

    data: bytes = b""
    end: bool = False

    @property
    def weight(self) -> int:
        """What the message counts towards the input under way: small messages need memory as well."""
        return len(self.data) + 256


@dataclass(frozen=True, slots=True)
class Size:
    """The terminal of a program changes."""

    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Read:
    """So many bytes of output were passed on."""

    size: int


@dataclass(frozen=True, slots=True)
class Cancel:
    """End the command; nobody waits for its answers."""


@dataclass(frozen=True, slots=True)
class Output:
    """Output of a program."""

    stream: Literal["stdout", "stderr"]
    data: bytes

    @property
    def weight(self) -> int:
        """What the message counts towards the output under way."""
        return len(self.data) + 256


@dataclass(frozen=True, slots=True)
class Exit:
    """The program ended."""

    code: int


@dataclass(frozen=True, slots=True)
class Result:
    """The answer to Inspect, Top and RemoveVolume, as JSON text."""

    json: str


@dataclass(frozen=True, slots=True)
class InputRead:
    """So much input was handed to the program."""

    size: int


@dataclass(frozen=True, slots=True)
class Failed:
    """The command failed. `kind`: not_found, refused or unavailable."""

    kind: str
    message: str


Request = Exec | Inspect | Top | RemoveVolume
FollowUp = Input | Size
Order = Request | FollowUp | Read | Cancel
Answer = Output | Exit | Result | Failed
Event = Answer | InputRead


def with_shell(words: tuple[str, ...]) -> tuple[str, ...]:
    """The words, joined with blanks, as a line for a shell."""
    return ("/bin/sh", "-c", " ".join(words))
