"""Interpolation between the few points of a table, without a second of imports."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Spline:
    """The cubic spline through some points, whose third derivative does not jump at the second and the last but one.

    (De Boor, A Practical Guide to Splines, 1978, chapter IV: the not-a-knot condition.)

    Parameters
    ----------
    places, values, bends : (n,) float64 arrays
        The points, and the second derivative at each.
    """

    places: NDArray[np.float64]
    values: NDArray[np.float64]
    bends: NDArray[np.float64]

    @classmethod
    def through(cls, places: NDArray[np.float64], values: NDArray[np.float64]) -> "Spline":
        """The spline through these points."""
        step = np.diff(places)
        low, high = step[:-1].copy(), step[1:].copy()
        middle, right = 2 * (low + high), 6 * np.diff(np.diff(values) / step)
        # the condition gives the first and last bend by the two beside them
        middle[0] += low[0] * (low[0] + high[0]) / high[0]
        middle[-1] += high[-1] * (low[-1] + high[-1]) / low[-1]
        high[0] -= low[0] ** 2 / high[0]
        low[-1] -= high[-1] ** 2 / low[-1]
        for i in range(1, len(middle)):  # three diagonals: no matrix, no threads of a library
            share = low[i] / middle[i - 1]
            middle[i] -= share * high[i - 1]
            right[i] -= share * right[i - 1]
        bends = np.zeros(len(places))
        for i in reversed(range(len(middle))):
            bends[i + 1] = (right[i] - (high[i] * bends[i + 2] if i + 1 < len(middle) else 0.0)) / middle[i]
        bends[0] = ((step[0] + step[1]) * bends[1] - step[0] * bends[2]) / step[1]
        bends[-1] = ((step[-1] + step[-2]) * bends[-2] - step[-1] * bends[-3]) / step[-2]
        return cls(places, values, bends)

    def __call__(self, place: float) -> float:
        """Its value at a place."""
        i = min(max(int(np.searchsorted(self.places, place)), 1), len(self.places) - 1)
        step = self.places[i] - self.places[i - 1]
        before, behind = (self.places[i] - place) / step, (place - self.places[i - 1]) / step
        line = before * self.values[i - 1] + behind * self.values[i]
        bend = (before**3 - before) * self.bends[i - 1] + (behind**3 - behind) * self.bends[i]
        return float(line + bend * step**2 / 6)
