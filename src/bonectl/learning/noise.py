"""How large values are, and how noisy: what tells data of one kind from those of another.

Both are read from a slice in normalised units, and are no more than hints: data are never scaled by them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

Value = TypeVar("Value", bound=np.generic)

# Pixels on a side of a square in which noise is looked at, and the share of the squares that are taken for flat.
SQUARE = 8
FLAT = 0.25
# Share of the pixels of a slice that are no extremes [per cent].
MOST = 99.9
# Pixels on a side, about the centre of a slice, that are looked at.
SIDE = 256
# Norm of the second difference along both axes, (1, -2, 1) by (1, -2, 1).
GAIN = 6.0


def noise(values: NDArray[Any]) -> float:
    """Return the standard deviation of the noise in a slice.

    The second difference along both axes takes off whatever is flat or slanted (Immerkær 1996, Computer Vision and
    Image Understanding 64); of small squares the quieter ones are taken, where no edge lies. Squares of one value, such
    as lie beyond the field of view, do not count. White noise reads up to a fifth lower than it is, noise of
    coarse grain much lower.

    Parameters
    ----------
    values : (y, x)
    """
    rough = np.diff(np.diff(values.astype(np.float64), 2, axis=0), 2, axis=1)
    rows, columns = (max(1, n // SQUARE) for n in rough.shape)
    height, width = rough.shape[0] // rows, rough.shape[1] // columns
    if not height * width:
        return 0.0
    squares = rough[: rows * height, : columns * width].reshape(rows, height, columns, width)
    spread = np.sqrt(np.square(squares).mean(axis=(1, 3))).ravel() / GAIN
    spread = spread[spread > 0]
    return float(np.quantile(spread, FLAT)) if spread.size else 0.0


@dataclass(frozen=True, kw_only=True)
class Level:
    """How large the values of some slices are, and how noisy.

    Parameters
    ----------
    most : float
        What all but a thousandth of the pixels of the strongest slice stay below, without sign.
    noise_least, noise_median, noise_most : float
        Of the slices (:func:`noise`).
    """

    most: float
    noise_least: float
    noise_median: float
    noise_most: float

    @classmethod
    def of(cls, slices: Iterable[NDArray[Any]]) -> Self:
        """Look at the centres of slices, (y, x) each, one at least."""
        parts = [middle(each, SIDE) for each in slices]
        most = max(float(np.percentile(np.abs(part), MOST)) for part in parts)
        noises = [noise(part) for part in parts]
        least, half, largest = np.quantile(noises, (0.0, 0.5, 1.0))
        return cls(most=most, noise_least=float(least), noise_median=float(half), noise_most=float(largest))

    @classmethod
    def over(cls, levels: Sequence[Self]) -> Self:
        """Join those of parts of a stack, one at least."""
        least, half, largest = np.quantile([level.noise_median for level in levels], (0.0, 0.5, 1.0))
        most = max(level.most for level in levels)
        return cls(most=most, noise_least=float(least), noise_median=float(half), noise_most=float(largest))


def middle(values: NDArray[Value], side: int) -> NDArray[Value]:
    """Return what lies about the centre of a slice, at most so many pixels on a side."""
    rows, columns = (slice(max(0, (n - side) // 2), max(0, (n - side) // 2) + side) for n in values.shape)
    return values[rows, columns]
