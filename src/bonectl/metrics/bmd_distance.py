"""Distance between two distributions of mineral density."""

import numpy as np
from numpy.typing import NDArray

from bonectl.core.table import Number
from bonectl.errors import UsageError
from bonectl.morphology.specimen import Specimen

# What the register knows of it (core/kit.py).
USUAL = "against"
PLACE = 18
BYTES = 28.0
KEEPS = ()
SYMBOLS = ()

MOST_BINS = 1 << 24


def bmd_distance(specimen: Specimen, reference: Specimen, *, bins: int = 8192) -> tuple[Number, ...]:
    """1-Wasserstein distance of the mineral densities inside the reference bone, and over the volume of interest.

    The area between the two cumulative histograms, on `bins` bins over the common range of both; the distance by
    which mineral would have to be shifted on average. (That a denoiser is judged by the distribution of mineral,
    not its mean alone, is from Leuliet et al., Med. Phys. 49:2952, 2022; this distance is our choice.)

    Parameters
    ----------
    specimen, reference : Specimen
        With grey values in mgHA/cm3.
    bins : int
        The distance is right to the width of one bin.

    Returns
    -------
    bmd_distance, tmd_distance : mgHA/cm3
    """
    if specimen.unit != "mgHA/cm3":
        raise UsageError(f"bmd_distance needs mineral density in mgHA/cm3, this is {specimen.unit!r}")
    if not 1 <= bins <= MOST_BINS:
        raise UsageError(f"bmd_distance(bins={bins}); give 1 to {MOST_BINS}")
    ours, theirs = specimen.values("bmd_distance"), reference.values("bmd_distance")
    whole = wasserstein(ours[specimen.voi], theirs[specimen.voi], bins)
    bone = wasserstein(ours[reference.bone], theirs[reference.bone], bins)
    return (
        Number("bmd_distance", whole, "mgHA/cm3", "1-Wasserstein distance of densities over the volume of interest"),
        Number("tmd_distance", bone, "mgHA/cm3", "1-Wasserstein distance of densities inside the reference bone"),
    )


def wasserstein(a: NDArray[np.number], b: NDArray[np.number], bins: int) -> float:
    """Area between the cumulative histograms of two sets of values of any size."""
    low = min(float(a.min()), float(b.min()))
    high = max(float(a.max()), float(b.max()))
    if low == high:
        return 0.0
    step = (high - low) / bins
    shares = [np.bincount(_bins(v, low, step, bins), minlength=bins) / v.size for v in (a, b)]
    return float(np.abs(np.cumsum(shares[0] - shares[1])).sum() * step)


def _bins(values: NDArray[np.number], low: float, step: float, bins: int) -> NDArray[np.int64]:
    return ((values.astype(np.float64) - low) / step).clip(0, bins - 1).astype(np.int64)
