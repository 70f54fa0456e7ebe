"""How much a container may log: so many lines per second in the long run, and a stock of them for a moment."""

from dataclasses import dataclass, field

# A line counts as one for every so many bytes of it that were begun.
_UNIT_BYTES = 1024
# A container that used up its stock is read again when it has lines for so many seconds: what it writes arrives in
# pieces that make sense, with one word about the loss between them, and not as every hundredth line.
_PAUSE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class LogRate:
    """`per_second` 0: as much as it likes."""

    per_second: float
    stock: float


@dataclass(slots=True)
class LineBudget:
    """What one container has left. `dropped` lines were refused since they were told of last."""

    rate: LogRate
    at: float
    left: float = field(init=False)
    dropped: int = 0
    _refusing: bool = False

    def __post_init__(self) -> None:
        self.left = self.rate.stock

    def takes(self, size: int, now: float) -> bool:
        """Whether a line of `size` bytes that is read now is kept."""
        if not self.rate.per_second:
            return True
        self.left = min(self.rate.stock, self.left + (now - self.at) * self.rate.per_second)
        self.at = now
        cost = 1 + size // _UNIT_BYTES
        pause = min(self.rate.stock, self.rate.per_second * _PAUSE_SECONDS) if self._refusing else 0.0
        self._refusing = self.left < max(cost, pause)
        if self._refusing:
            self.dropped += 1
            return False
        self.left -= cost
        return True

    def loss(self) -> str:
        """What to say about the lines that were refused, empty when there are none; then they are forgotten."""
        if not self.dropped:
            return ""
        count, self.dropped = self.dropped, 0
        return f"kontena: {count} lines were dropped, as more than {self.rate.per_second:g} per second were written"
