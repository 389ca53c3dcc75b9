"""What stands beside every time: how far the result is from the truth, and the end of the run where that is too far.

A benchmark that does not look at its result times anything, garbage too: each row has an error and a bound, ours and
the peer's alike. The truth is a closed form (`tests/world/closed_forms.py`) or an independent tool.
"""

import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.world.closed_forms import Ball, bodies, look, rasterised, scan

__all__ = ["Ball", "Judge", "apart", "bodies", "look", "rasterised", "scan", "worst"]


def apart(found: np.ndarray, truth: np.ndarray) -> float:
    """Root mean square of the difference, over that of the truth."""
    found, truth = np.asarray(found, dtype=np.float64), np.asarray(truth, dtype=np.float64)
    return float(np.sqrt(((found - truth) ** 2).mean() / (truth**2).mean()))


def worst(volume: np.ndarray, balls: tuple[Ball, ...]) -> float:
    """The largest relative error of the mean inside one of some balls."""
    return max(abs(look(np.asarray(volume), ball).value - 1) for ball in balls)


@dataclass
class Judge:
    """What was wrong so far."""

    wrong: list[str] = field(default_factory=list)

    def __call__(self, what: str, error: float, most: float) -> str:
        """The error as a cell of a table; noted where it is above `most` or no number."""
        if not error <= most:
            self.wrong.append(f"{what}: error {error:.3g}, at most {most:g} is right")
        return f"{error:.1e}"

    def close(self) -> None:
        """End with status 1, and say what was wrong, if anything was."""
        if self.wrong:
            sys.exit("wrong results, whose times mean nothing:\n" + "\n".join(self.wrong))
