"""Parts of a run: one that fails is told at once and on the page, and the others are measured all the same."""

import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Sections:
    """`seconds` that each part took; `failed` says why, by part."""

    seconds: dict[str, float] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Whatever goes wrong within is this part's failure."""
        began = time.monotonic()
        try:
            yield
        except Exception as error:
            # It stands on the page, and ends the run with an error.
            traceback.print_exc()
            self.failed[name] = f"{type(error).__name__}: {error}"
        self.seconds[name] = time.monotonic() - began
        told = "FAILED" if name in self.failed else "done"
        sys.stderr.write(f"{name}: {told} after {self.seconds[name]:.0f} s\n")

    def lines(self) -> list[str]:
        """For the page."""
        took = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in self.seconds.items())
        failed = [f"- **{name} failed**: {why.splitlines()[0]}" for name, why in self.failed.items()]
        return [f"- took: {took}", *failed]
