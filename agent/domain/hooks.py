"""Which hooks run at a moment of an instance's life (docs/spec/orchestration.md section 8.5). Pure."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

PRE_START = "pre_start"
POST_START = "post_start"
PRE_STOP = "pre_stop"


@dataclass(frozen=True, slots=True)
class Hook:
    """A command; a `oneshot` one runs once in the life of an instance number."""

    id: str
    type: str
    cmd: str
    oneshot: bool

    @property
    def title(self) -> str:
        """How users know it."""
        return f"{self.type} hook {self._name}"

    @property
    def path(self) -> str:
        """Its moment and name, e.g. `pre_start/migrate`."""
        return f"{self.type}/{self._name}"

    @property
    def _name(self) -> str:
        return self.id.rpartition("/")[2] or self.id


def due(hooks: Iterable[Hook], moment: str, done: Collection[str]) -> list[Hook]:
    """The hooks of this moment that have not run for the last time, in order."""
    return [hook for hook in hooks if hook.type == moment and not (hook.oneshot and hook.id in done)]


def oneshots(hooks: Sequence[Hook]) -> list[str]:
    """Ids of those that must be recorded before the first of them runs."""
    return [hook.id for hook in hooks if hook.oneshot]
