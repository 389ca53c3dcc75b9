"""How the mineral density of bone tissue is distributed."""

from math import nan

import numpy as np
from numpy.typing import NDArray

from bonectl.core.table import Number
from bonectl.morphology.sums import DENSITY_BINS, DENSITY_START, DENSITY_STEP, Sums

# What the register knows of it (core/kit.py).
USUAL = ""
PLACE = 22
BYTES = 5.0
KEEPS = ()
SYMBOLS = ()

PERCENTILES = (5, 25, 50, 75, 95)

# The histogram is averaged over this many bins before its peak is looked for: 0.8 % wider at an SD of 70 mgHA/cm3.
BINS = 3


def density_spread(sums: Sums) -> tuple[Number, ...]:
    """Percentiles, mode and full width at half maximum of the mineral density over the bone voxels.

    From the histogram of tmd, whose bins are 10 mgHA/cm3 wide, linear inside a bin. The mode is the top of the
    parabola through the fullest bin and its neighbours, after a mean over three bins; the width is measured at half
    its height, the nearest crossing on each side.

    Parameters
    ----------
    sums : Sums
        In mgHA/cm3.

    Returns
    -------
    tmd_p5, tmd_p25, tmd_p50, tmd_p75, tmd_p95, tmd_mode, tmd_fwhm : mgHA/cm3
    """
    _, bone = sums.densities()
    counts = np.asarray(bone.histogram, np.float64)
    mode, width = peak(counts)
    return (
        *(
            Number(f"tmd_p{share}", percentile(counts, share), "mgHA/cm3", f"{share} % of the bone voxels lie below")
            for share in PERCENTILES
        ),
        Number("tmd_mode", mode, "mgHA/cm3", "most frequent mineral density of the bone voxels"),
        Number("tmd_fwhm", width, "mgHA/cm3", "full width at half maximum of the histogram of the bone voxels"),
    )


def percentile(counts: NDArray[np.float64], share: float) -> float:
    """The density below which `share` percent of the counts lie; NaN without counts."""
    if not counts.any():
        return nan
    sums = np.concatenate([[0.0], np.cumsum(counts)])
    wanted = share / 100 * sums[-1]
    after = int(np.searchsorted(sums, wanted, side="left"))
    after = max(after, 1)
    inside = (wanted - sums[after - 1]) / (sums[after] - sums[after - 1]) if sums[after] > sums[after - 1] else 0.0
    return DENSITY_START + DENSITY_STEP * (after - 1 + float(inside))


def peak(counts: NDArray[np.float64]) -> tuple[float, float]:
    """Place of the highest peak, and its full width at half maximum; NaN without counts."""
    if not counts.any():
        return nan, nan
    smooth = np.convolve(counts, np.ones(BINS) / BINS, mode="same")
    top = int(smooth.argmax())
    left, height, right = smooth[max(top - 1, 0)], smooth[top], smooth[min(top + 1, DENSITY_BINS - 1)]
    bend = left - 2 * height + right
    shift = 0.5 * (left - right) / bend if bend < 0 else 0.0
    width = _reach(smooth[top:], height / 2) + _reach(smooth[top::-1], height / 2)
    return DENSITY_START + DENSITY_STEP * (top + 0.5 + float(shift)), DENSITY_STEP * width


def _reach(slope: NDArray[np.float64], level: float) -> float:
    """Bins from the start of a row of counts to where it first falls below a level, linear between bins."""
    below = np.flatnonzero(slope < level)
    if not below.size:
        return nan
    first = int(below[0])
    return float(first - 1 + (slope[first - 1] - level) / (slope[first - 1] - slope[first]))
