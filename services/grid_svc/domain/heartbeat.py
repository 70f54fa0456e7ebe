"""How often agents give a sign of life, and how long they may be silent. Pure."""

from dataclasses import dataclass

# Silent periods after which a session ends.
_PERIODS = 3


@dataclass(frozen=True, slots=True)
class Rhythm:
    """Every so many `seconds`, or more seldom where nodes would give more than `per_second` of them. `writing` is how
    often those that came are written, in seconds."""

    seconds: float
    per_second: float
    writing: float

    def period(self, nodes: int) -> float:
        """Seconds between two signs of life of a node, one of so many that have their sessions here."""
        return max(self.seconds, nodes / self.per_second)

    def patience(self, period: float) -> float:
        """Seconds of silence after which the replica that has the session ends it."""
        return _PERIODS * period

    def silence(self, nodes: int) -> float:
        """Seconds without a sign of life in the database after which any replica takes the one with the session for
        dead. Of all nodes, those that are away as well: however many are lost at once, the others were told no longer
        period."""
        return self.patience(self.period(nodes)) + 2 * self.writing
