"""Calibration by guess: two peaks of the grey values get two densities."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d, gaussian_gradient_magnitude

from bonectl.core.calibration import Calibration
from bonectl.errors import DataError

READS = ("grey",)

BINS = 256
# SD of the Gaussian that smooths the histogram [bin]: 1.6 % of the range of values.
SMOOTHING = 4.0
# A voxel counts as the inside of a material when the gradient of the Gaussian-smoothed stack (SD 1 voxel) is below
# this share of the range of values per voxel. Voxels that share bone and marrow are then left out; with them, real
# trabecular bone has a plateau where its peak should be.
FLATNESS = 0.04
# The lesser peak must rise over the valley between the two by this share of its own height, and by this many standard
# deviations of a count of that height.
PROMINENCE, SIGNIFICANCE = 0.05, 5.0
# Slices smoothed at a time, and the slices around them that matter: 4 SD of the Gaussian.
BLOCK, HALO = 16, 4


def peaks(values: NDArray[Any], *, low: float = 0.0, high: float = 1050.0) -> Calibration:
    """Pseudo-calibration: the marrow peak of the grey values becomes `low`, the bone peak `high`.

    Structure may be trusted afterwards, density may not: the result is labelled as pseudo-calibrated.

    Parameters
    ----------
    values : (z, y, x) array
        Grey values of the whole stack.
    low, high : float
        Densities that the marrow peak and the bone peak get [mgHA/cm³].

    Raises
    ------
    DataError
        When the histogram has no two peaks, or `high` does not lie above `low`.

    Notes
    -----
    The rule, the same for every stack: values equal to the smallest or the largest are left out (fill outside
    the field of view, saturation); so are voxels on a gradient (4 % of the range per voxel). The histogram of
    the rest, 256 bins between smallest and largest value, is smoothed with a Gaussian of SD 4 bins. Of its
    maxima the highest is one peak; the other is the one that stands out most over the valley between them.
    """
    if not high > low:
        raise DataError(f"peaks(low={low:g}, high={high:g}): the bone peak must get the higher density")
    counts, centres = _histogram(values)
    marrow, bone = (centres[i] for i in _two_maxima(gaussian_filter1d(counts, SMOOTHING, mode="constant")))
    slope = (high - low) / (bone - marrow)
    source = f"pseudo-calibrated by peaks(low={low:g}, high={high:g}): grey {marrow:.6g} and {bone:.6g}"
    return Calibration(slope, low - slope * marrow, source, pseudo=True)


def _histogram(values: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Counts of the flat voxels in each bin, and the bins' centres."""
    smallest, largest = float(values.min()), float(values.max())
    if not np.isfinite(smallest + largest):
        raise DataError("the grey values hold NaN or infinity; peaks need finite values")
    if smallest == largest:
        raise DataError(f"all grey values are {smallest:g}; peaks need marrow and bone")
    edges = np.linspace(smallest, largest, BINS + 1)
    if np.issubdtype(values.dtype, np.integer) and largest - smallest < BINS:
        edges = np.arange(smallest, largest + 2) - 0.5  # one bin per value, or combs would look like peaks
    counts = np.zeros(len(edges) - 1)
    for block, gradient in _blocks(values):
        inside = (gradient < FLATNESS * (largest - smallest)) & (block > smallest) & (block < largest)
        counts += np.histogram(block[inside], edges)[0]
    return counts, (edges[1:] + edges[:-1]) / 2


def _blocks(values: NDArray[Any]) -> Iterator[tuple[NDArray[Any], NDArray[np.float32]]]:
    """Blocks of slices, and how fast the smoothed values change there [1/voxel]."""
    for start in range(0, len(values), BLOCK):
        first = max(0, start - HALO)
        window = values[first : start + BLOCK + HALO].astype(np.float32)
        gradient = gaussian_gradient_magnitude(window, 1.0, mode="nearest", truncate=HALO)
        core = slice(start - first, start - first + min(BLOCK, len(values) - start))
        yield values[start : start + BLOCK], gradient[core]


def _two_maxima(curve: NDArray[np.float64]) -> tuple[int, int]:
    """Places of the highest maximum and of the one that stands out most beside it, in order of grey value."""
    inner: list[int] = (np.flatnonzero((curve[1:-1] > curve[:-2]) & (curve[1:-1] >= curve[2:])) + 1).tolist()
    if len(inner) < 2:
        raise DataError("the grey values have fewer than two peaks; give linear(slope=..., intercept=...) instead")
    highest = max(inner, key=lambda place: float(curve[place]))

    def prominence(place: int) -> float:
        valley = curve[min(place, highest) : max(place, highest)].min()
        return float(curve[place] - valley)

    other = max((i for i in inner if i != highest), key=prominence)
    height = float(curve[other])
    if prominence(other) < max(PROMINENCE * height, SIGNIFICANCE * height**0.5):
        raise DataError(
            "the grey values have one peak and no second that stands out; give linear(slope=..., intercept=...) instead"
        )
    return min(highest, other), max(highest, other)
