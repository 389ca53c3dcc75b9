"""Otsu's threshold (IEEE Trans. Syst. Man Cybern. 9:62, 1979)."""

import numpy as np
from numpy.typing import NDArray

from bonectl.errors import DataError, UsageError
from bonectl.morphology.cut import Cut, Volume, blur


def otsu(volume: Volume, *, bins: int = 256, sigma: float = 0.0) -> Cut:
    """Cut where the variance between the two classes is largest.

    The histogram of the volume of interest has one bin per grey level for unfiltered integers, else `bins` bins
    over the range of the values; the threshold is the centre of a bin (as scikit-image's, to the last digit).

    Parameters
    ----------
    volume : Volume
    bins : int
        Of the histogram of values that are not integers.
    sigma : float
        Standard deviation of a Gaussian filter before the cut [voxel].

    Raises
    ------
    DataError
        When all values are the same.
    """
    if bins < 2:
        raise UsageError(f"otsu with {bins} bins; at least 2 are needed")
    values = volume.inside(blur(sigma))
    low, high = values.min(), values.max()
    if low == high:
        raise DataError(f"otsu finds no threshold: every value is {float(low):g}")
    if np.issubdtype(values.dtype, np.integer):
        counts = np.bincount((values - low).astype(np.int64))
        centres = np.arange(int(low), int(high) + 1, dtype=np.float64)
    else:
        counts, edges = np.histogram(values, bins)
        centres = (edges[:-1] + edges[1:]) / 2
    return Cut(_best(counts, centres), volume.unit, f"otsu(bins={bins})", blur(sigma))


def _best(counts: NDArray[np.int64], centres: NDArray[np.float64]) -> float:
    """Centre of the last bin of the lower class, where ω₀ ω₁ (μ₀ - μ₁)² is largest; of equals, the first."""
    weight = np.cumsum(counts)[:-1].astype(np.float64)
    first = np.cumsum(counts * centres)
    below, above = first[:-1] / weight, (first[-1] - first[:-1]) / (counts.sum() - weight)
    between = weight * (counts.sum() - weight) * (below - above) ** 2
    return float(centres[np.argmax(between)])
