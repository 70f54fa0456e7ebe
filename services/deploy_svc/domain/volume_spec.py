"""Volume strings of a service (docs/spec/deploy_rest.md section 4.4)."""

import re
from dataclasses import dataclass

_NAME = re.compile(r"(?!-)[A-Za-z0-9_-]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Volume:
    """A mount: anonymous (no source), bound to a path of the node, or a named volume of the grid."""

    path: str
    bind: str | None = None
    name: str | None = None
    flags: str = ""

    @property
    def anonymous(self) -> bool:
        """Whether the engine makes a volume of its own for it."""
        return self.bind is None and self.name is None

    def __str__(self) -> str:
        return ":".join(part for part in (self.bind or self.name, self.path, self.flags) if part)


def parse_volume(text: str) -> Volume | None:
    """The volume that `text` describes; None when it is none of the three forms."""
    source, *rest = text.split(":")
    if not rest:
        return Volume(source) if source.startswith("/") else None
    path, *flags = rest
    if not path.startswith("/"):
        return None
    joined = ",".join(filter(None, flags))
    if source.startswith("/"):
        return Volume(path, bind=source, flags=joined)
    return Volume(path, name=source, flags=joined) if _NAME.fullmatch(source) else None


def render_volume(text: str) -> str:
    """The stored form: flags joined with commas, empty parts left out. Text that is no volume stays as it is."""
    volume = parse_volume(text)
    return text if volume is None else str(volume)
