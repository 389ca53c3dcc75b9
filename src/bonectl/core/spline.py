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
        step, n = np.diff(places), len(places)
        slope = np.diff(values) / step
        matrix, right = np.zeros((n, n)), np.zeros(n)
        inner = np.arange(1, n - 1)
        matrix[inner, inner - 1], matrix[inner, inner + 1] = step[:-1], step[1:]
        matrix[inner, inner] = 2 * (step[:-1] + step[1:])
        right[inner] = 6 * np.diff(slope)
        matrix[0, :3] = step[1], -(step[0] + step[1]), step[0]
        matrix[-1, -3:] = step[-1], -(step[-2] + step[-1]), step[-2]
        return cls(places, values, np.asarray(np.linalg.solve(matrix, right), dtype=np.float64))

    def __call__(self, place: float) -> float:
        """Its value at a place."""
        i = min(max(int(np.searchsorted(self.places, place)), 1), len(self.places) - 1)
        step = self.places[i] - self.places[i - 1]
        before, behind = (self.places[i] - place) / step, (place - self.places[i - 1]) / step
        line = before * self.values[i - 1] + behind * self.values[i]
        bend = (before**3 - before) * self.bends[i - 1] + (behind**3 - behind) * self.bends[i]
        return float(line + bend * step**2 / 6)
