"""How far the log of each container was delivered; survives the process."""

from agent.domain.log_frames import Position
from agent.state_dir import StateDir, StateFile
from agent.state_documents import PositionsDocument

_DELAY = 0.1


class LogPositions:
    """Written at most every 0.1 s; what is delivered twice after a crash the master drops."""

    def __init__(self, folder: StateDir) -> None:
        self._file = StateFile(folder, "logs.json", self._content, _DELAY)
        self._positions = {key: Position(*value) for key, value in self._file.read(PositionsDocument).root.items()}

    def get(self, container_id: str) -> Position | None:
        """Where to go on, None when nothing was delivered."""
        return self._positions.get(container_id)

    def advance(self, container_id: str, position: Position) -> None:
        """Everything before `position` is stored by the master."""
        self._positions[container_id] = position
        self._file.touch()

    def keep_only(self, container_ids: set[str]) -> None:
        """Forget containers that are gone."""
        gone = self._positions.keys() - container_ids
        for container_id in gone:
            del self._positions[container_id]
        if gone:
            self._file.touch()

    def _content(self) -> PositionsDocument:
        told = {key: [item.since_ns, item.skip, item.newest_ns] for key, item in self._positions.items()}
        return PositionsDocument.model_construct(told)
