"""Ellipsoid factor."""

import numpy as np
from scipy.ndimage import gaussian_filter

from bonectl.core.draws import generator
from bonectl.core.table import Finding, Histogram, Number
from bonectl.errors import UsageError
from bonectl.morphology import ellipsoid
from bonectl.morphology.distance import squared_distance
from bonectl.morphology.specimen import Specimen

# What the register knows of it (core/kit.py).
USUAL = ""
PLACE = 23
BYTES = 11.0
KEEPS = ()
SYMBOLS = ()

# The mask is smoothed by this much to find its surface between the voxels [voxel].
SIGMA = 0.8

# Width of the bins of the histogram.
STEP = 0.05


def ellipsoid_factor(
    specimen: Specimen, *, points: int = 500, reach: float = 6.0, seed: int = 0
) -> tuple[Finding, ...]:
    """EF = a/b - b/c of the largest ellipsoid in the bone that contains a point (Doube, Front. Endocrinol. 6:15, 2015).

    a ≤ b ≤ c are its semi-axes: -1 of plates, 0 of balls and of what lies between, +1 of rods. Points are drawn from
    the bone; about the middle of the bone at each an ellipsoid is grown, turned and moved until it grows no more, and
    each point takes the largest of all these that contains it. So the cost depends on the number of points, not on
    the volume. Points that no ellipsoid contains do not count; their share says how far to trust the rest.

    Parameters
    ----------
    specimen : Specimen
        On cubic voxels.
    points : int
        Drawn. Neighbours share ellipsoids, so the mean is less sure than ef_sd / √points: two draws in one piece of
        bone-like structure differ by 0.01 to 0.03 with 500 points, by 0.15 and more with 120.
    reach : float
        Longest semi-axis in radii of the inscribed ball: long rods read 1 - 1/reach, wide plates 1/reach - 1.
    seed : int
        Of the draws.

    Returns
    -------
    ef_median, ef_mean, ef_sd, ef_filled : 1
    """
    if points < 1 or not 1 < reach <= 20 or seed < 0:
        raise UsageError(
            f"ellipsoid_factor(points={points}, reach={reach:g}, seed={seed}); at least one point, a reach from 1 to "
            "20, and a seed from 0 on"
        )
    specimen.side("ellipsoid_factor")
    bone = np.flatnonzero(specimen.bone)
    draws = generator(seed, "ellipsoid factor")
    chosen = bone[draws.choice(len(bone), min(points, len(bone)), replace=False)]
    drawn = np.stack(np.unravel_index(chosen, specimen.bone.shape), axis=1)
    del bone  # eight bytes for each voxel of it
    field = gaussian_filter(specimen.bone.astype(np.float32), SIGMA, mode="nearest", truncate=4.0)
    moves = ellipsoid.tries(draws, len(drawn))
    there = ellipsoid.fit(field, squared_distance(specimen.bone), drawn, reach=reach, moves=moves)
    owner = ellipsoid.largest_around(there, drawn)
    values = there.factor[owner[owner >= 0]]
    filled = f"over {len(values)} of {len(drawn)} points of the bone"
    median, mean, deviation = (
        (float(np.median(values)), float(values.mean()), float(values.std())) if len(values) else (np.nan,) * 3
    )
    counts = np.histogram(values, int(2 / STEP), (-1, 1))[0]
    return (
        Number("ef_median", median, "1", f"median ellipsoid factor a/b - b/c {filled}: plate -1, rod +1"),
        Number("ef_mean", mean, "1", f"mean ellipsoid factor {filled}"),
        Number("ef_sd", deviation, "1", "standard deviation of the ellipsoid factor"),
        Number("ef_filled", len(values) / len(drawn), "1", "share of points of the bone that an ellipsoid contains"),
        Histogram("ellipsoid_factor", "1", -1.0, STEP, tuple(counts.tolist())),
    )
