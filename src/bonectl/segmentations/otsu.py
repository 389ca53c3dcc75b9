"""Otsu's threshold (IEEE Trans. Syst. Man Cybern. 9:62, 1979)."""

import numpy as np
from numpy.typing import NDArray

from bonectl.errors import DataError, UsageError
from bonectl.morphology.threshold import Threshold, Volume, blur

Values = NDArray[np.number]
Counts = NDArray[np.int64]
Centres = NDArray[np.float64]

# Whole numbers have a bin each up to this range; with a wider one each has a bin that occurs.
WIDE = 1 << 20

# Up to this share of the voxels at either end is left out where the rest takes less than half of the range.
EXTREME = 1e-4

# A class with a smaller share of the voxels is next to empty.
SCARCE = 0.002


def otsu(volume: Volume, *, bins: int = 256, sigma: float = 0.0) -> Threshold:
    """Cut where the variance between the two classes is largest.

    The histogram of the volume of interest has one bin per grey level for unfiltered whole numbers, and the threshold
    lies in the middle between two levels that occur. Other values are counted in `bins` bins over their range, and
    the threshold is the centre of a bin (as scikit-image's, to the last digit), or the middle of the empty bins above
    it. A few extreme values, up to 0.01 % of the voxels, are left out where they would take more than half of the
    range.

    Parameters
    ----------
    volume : Volume
    bins : int
        Of the histogram of values that are not whole numbers.
    sigma : float
        Standard deviation of a Gaussian filter before the cut [voxel].

    Raises
    ------
    UsageError
        When there are fewer than two bins.
    DataError
        When all values are the same.
    """
    if bins < 2:
        raise UsageError(f"otsu with {bins} bins; at least 2 are needed")
    values = volume.inside(blur(sigma))
    if not values.size:
        raise DataError("the mask is empty: no voxel is inside the volume of interest")
    if values.min() == values.max():
        raise DataError(f"otsu finds no threshold: every value is {float(values.min()):g}")
    usual = _usual(values)
    whole = _are_whole(usual)
    counts, centres = _levels(usual) if whole else _binned(usual, bins)
    left_out = values.size - usual.size
    value = _best(counts, centres, whole=whole)
    rule = f"otsu(bins={bins})" + (f", {left_out} extreme voxels left out" if left_out else "")
    share = np.count_nonzero(values > value) / values.size
    return Threshold(value, volume.unit, rule, blur(sigma), doubts=_doubts(value, share))


def _are_whole(values: Values) -> bool:
    """Whether all values are whole numbers, of any type."""
    if values.dtype.kind != "f":
        return True
    within = max(-float(values.min()), float(values.max())) < WIDE
    return within and all(np.array_equal(part, np.rint(part)) for part in _parts(values))


def _parts(values: Values) -> list[Values]:
    """A row of values in pieces, to bound memory."""
    return np.array_split(values, max(1, values.size // WIDE))


def _levels(values: Values) -> tuple[Counts, Centres]:
    """How often each whole number occurs that does, and which it is."""
    low, high = int(values.min()), int(values.max())
    if high - low > WIDE:
        levels, often = np.unique(values, return_counts=True)
        return often.astype(np.int64), levels.astype(np.float64)
    counts = np.zeros(high - low + 1, np.int64)
    for part in _parts(values):
        counts += np.bincount(part.astype(np.int64) - low, minlength=len(counts))
    there = np.flatnonzero(counts)
    return counts[there], (there + low).astype(np.float64)


def _binned(values: Values, bins: int) -> tuple[Counts, Centres]:
    counts, edges = np.histogram(values, bins)
    return counts.astype(np.int64), (edges[:-1] + edges[1:]) / 2


def _usual(values: Values) -> Values:
    """The values without those at either end that are few and take more than half of the range."""
    few = max(1, int(EXTREME * values.size))
    if values.size <= 2 * few or values.dtype.kind == "b":
        return values
    ends = np.partition(values, (few, values.size - 1 - few))[[few, values.size - 1 - few]]
    low, high = float(ends[0]), float(ends[1])
    if low == high or high - low >= (float(values.max()) - float(values.min())) / 2:
        return values
    usual: Values = values[(values >= ends[0]) & (values <= ends[1])]
    return usual


def _best(counts: Counts, centres: Centres, *, whole: bool) -> float:
    """Where ω₀ ω₁ (μ₀ - μ₁)² is largest; of equals, the first."""
    weight = np.cumsum(counts)[:-1].astype(np.float64)
    first = np.cumsum(counts * centres)
    rest = counts.sum() - weight
    below = np.divide(first[:-1], weight, out=np.zeros_like(weight), where=weight > 0)
    above = np.divide(first[-1] - first[:-1], rest, out=np.zeros_like(rest), where=rest > 0)
    last = int(np.argmax(weight * rest * (below - above) ** 2))
    following = last + 1 + int(np.flatnonzero(counts[last + 1 :])[0])
    if whole or following > last + 1:
        return float(centres[last] + centres[following]) / 2
    return float(centres[last])


def _doubts(value: float, share: float) -> tuple[str, ...]:
    """What is odd about classes of which the upper one has this share of the voxels."""
    scarce = min(share, 1 - share)
    if scarce >= SCARCE:
        return ()
    return (
        f"otsu's threshold {value:.4g} has {100 * scarce:.2g} % of the voxels on one side of it: a few extreme values "
        "may have set it; look at --plot, or give --threshold",
    )
