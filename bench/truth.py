"""What stands beside every time: how far the result is from the truth, and the end of the run where that is too far.

A benchmark that does not look at its result times anything, garbage too: each row has an error and a bound, ours and
the peer's alike. The truth is a closed form (`tests/world/closed_forms.py`) or an independent tool.
"""

import sys
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.world.closed_forms import Ball, bodies, look, rasterised, scan

from bonectl import __version__

__all__ = ["Ball", "Judge", "apart", "bodies", "look", "rasterised", "scan", "solid", "versions", "worst"]


def solid(shape: tuple[int, ...], ball: Ball, *, cylinder: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """A volume (z, y, x) of a ball or of a cylinder along z, its surface one voxel wide; and the distance from it."""
    z, row, column = (index - (n - 1) / 2 for index, n in zip(np.ogrid[tuple(map(slice, shape))], shape, strict=True))
    away = np.sqrt((0 * z if cylinder else z - ball.z) ** 2 + (row - ball.y) ** 2 + (column - ball.x) ** 2)
    return (ball.value * np.clip(ball.radius - away + 0.5, 0, 1)).astype(np.float32), away


def apart(found: np.ndarray, truth: np.ndarray) -> float:
    """Root mean square of the difference, over that of the truth."""
    found, truth = np.asarray(found, dtype=np.float64), np.asarray(truth, dtype=np.float64)
    return float(np.sqrt(((found - truth) ** 2).mean() / (truth**2).mean()))


def worst(volume: np.ndarray, balls: tuple[Ball, ...]) -> float:
    """The largest relative error of the mean inside one of some balls."""
    return max(abs(look(np.asarray(volume), ball).value - 1) for ball in balls)


def versions(*packages: str) -> str:
    """What was timed, in words: bonectl as it lies here, which what was installed once need not be, and packages."""
    return ", ".join([f"bonectl {__version__}", *(f"{name} {version(name)}" for name in packages)])


@dataclass
class Judge:
    """What was wrong so far."""

    wrong: list[str] = field(default_factory=list)

    def __call__(self, what: str, error: float, most: float) -> str:
        """The error as a cell of a table; noted where it is above `most` or no number."""
        if not error <= most:
            self.wrong.append(f"{what}: error {error:.3g}, at most {most:g} is right")
        return f"{error:.1e}"

    def refuse(self, what: str, error: float, most: float) -> str:
        """The error of what is known to be wrong; noted where it would pass: a bound that all keep judges nothing."""
        if error <= most:
            self.wrong.append(f"{what}, the control, passes: error {error:.3g}, at most {most:g} is right")
        return f"{error:.1e}"

    def close(self) -> None:
        """End with status 1, and say what was wrong, if anything was."""
        if self.wrong:
            sys.exit("wrong results, whose times mean nothing:\n" + "\n".join(self.wrong))
