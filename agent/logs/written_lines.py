"""What a command writes, as lines per stream."""

_MOST_BYTES = 256 * 1024


class WrittenLines:
    """Keeps the first 256 KiB; what a hook says beyond that is lost."""

    def __init__(self) -> None:
        self._written: dict[str, bytearray] = {}
        self._bytes = 0

    def add(self, stream: str, data: bytes) -> None:
        """More output."""
        kept = data[: _MOST_BYTES - self._bytes]
        self._bytes += len(kept)
        self._written.setdefault(stream, bytearray()).extend(kept)

    def finished(self) -> list[tuple[str, list[bytes]]]:
        """All lines, by stream."""
        return [(stream, bytes(data).splitlines()) for stream, data in self._written.items() if data]
