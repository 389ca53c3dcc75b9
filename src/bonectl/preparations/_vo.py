"""Stripes by sorting, after Vo, Atwood and Drakopoulos (Opt. Express 26, 28396, 2018)."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, median_filter, uniform_filter1d

from bonectl.core.bridging import bridged
from bonectl.core.preparation import Plane

# Share of the sorted readings at either end that is left out of means.
ENDS = 0.1
# Share of sorted columns at either end that is left out of the line which the others lie on.
APART = 0.25
# Share of the level of a wide stripe by which it falls within two columns on either side.
STEEP = 0.7
# Views over which a reading's fluctuation is told from its course.
SMOOTH = 10

Mask = NDArray[np.bool_]


def sorted_wide(plane: Plane, *, size: int, large: int, snr: float, additive: bool) -> Plane:
    """A sinogram without wide stripes, and then without the rest."""
    return sorted_out(wide_out(plane, size=large, snr=snr, additive=additive), size=size)


def sorted_out(plane: Plane, *, size: int) -> Plane:
    """Each reading replaced by the median, across columns, of the readings of its rank (algorithm 3)."""
    order = np.argsort(plane, axis=0, kind="stable")
    return _put(across(np.take_along_axis(plane, order, axis=0), size), order)


def wide_out(plane: Plane, *, size: int, snr: float, additive: bool) -> Plane:
    """A sinogram without wide stripes (algorithm 5).

    Sorted columns are compared with their median across columns, by the ratio of their means (of line integrals the
    difference): where it stands out, every reading takes the median's of its rank. Beyond the paper, the sides must be
    steep, as those of what happens at the detector are: the mean of all views of an object that rises and falls over
    some columns would stand out too.
    """
    order = np.argsort(plane, axis=0, kind="stable")
    ranked = np.take_along_axis(plane, order, axis=0)
    smooth = across(ranked, size)
    drop = int(ENDS * len(plane))
    inner = slice(drop, len(plane) - drop)
    own, around = (values[inner].mean(axis=0, dtype=np.float64) for values in (ranked, smooth))
    away = own - around if additive else np.divide(own, around, out=np.ones_like(own), where=around != 0)
    odd = _grown(_steep(outstanding(away, snr), away, size // 2))
    if not odd.any():
        return plane
    done = plane.copy()
    done[:, odd] = _put(smooth[:, odd], order[:, odd])
    return done


def bridged_over(plane: Plane, *, large: int, snr: float) -> Plane:
    """A sinogram whose columns that do not answer, or fluctuate, lie between their neighbours (algorithm 6)."""
    course = uniform_filter1d(plane, SMOOTH, axis=0, mode="nearest")
    restless = np.abs(plane - course).mean(axis=0, dtype=np.float64)
    usual = median_filter(restless, large, mode="reflect")
    odd = outstanding(np.divide(restless, usual, out=np.ones_like(restless), where=usual != 0), snr)
    odd = _grown(odd)
    odd[[0, -1]] = False
    return bridged(plane, odd) if odd.any() else plane


def outstanding(values: NDArray[np.float64], snr: float) -> Mask:
    """Which of some values stand out of the line through the sorted ones in the middle (algorithm 4).

    The line's rise over all of them is the usual range. Where the least or the greatest lies more than `snr` such
    ranges beyond the line's end, values beyond that end by half as much stand out.
    """
    ranked = np.sort(values)
    drop = int(APART * values.size)
    place = np.arange(values.size)
    slope, start = np.polyfit(place[drop : values.size - drop], ranked[drop : values.size - drop], 1)
    low, high = start, start + slope * (values.size - 1)
    usual = max(high - low, 1e-6 * abs(high), np.finfo(np.float64).tiny)
    odd = np.zeros(values.shape, np.bool_)
    if low - ranked[0] > snr * usual:
        odd |= values < low - usual * snr / 2
    if ranked[-1] - high > snr * usual:
        odd |= values > high + usual * snr / 2
    return odd


def _steep(odd: Mask, away: NDArray[np.float64], widest: int) -> Mask:
    """Runs of at most so many columns that fall by most of their level within two columns on either side."""
    steps = np.diff(odd.astype(np.int8), prepend=0, append=0)
    kept = np.zeros_like(odd)
    height, last = np.abs(away - np.median(away)), away.size - 1
    for low, high in zip(np.flatnonzero(steps == 1).tolist(), np.flatnonzero(steps == -1).tolist(), strict=True):
        beside = max(height[max(0, low - 2)], height[min(last, high + 1)])
        kept[low:high] = high - low <= widest and beside < (1 - STEEP) * np.median(height[low:high])
    return kept


def across(ranked: Plane, size: int) -> Plane:
    """Median across columns of each row; ends are mirrored."""
    return np.asarray(median_filter(ranked, (1, size), mode="reflect"))


def _put(ranked: Plane, order: NDArray[np.intp]) -> Plane:
    """Readings back in the places that they were sorted from."""
    done = np.empty_like(ranked)
    np.put_along_axis(done, order, ranked, axis=0)
    return done


def _grown(odd: Mask) -> Mask:
    """With the column on either side."""
    return np.asarray(binary_dilation(odd)) if odd.any() else odd
