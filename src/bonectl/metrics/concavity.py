"""How much of the bone surface is concave."""

from math import nan

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from bonectl.core.slabs import Array
from bonectl.core.table import Number
from bonectl.errors import UsageError
from bonectl.morphology.specimen import Specimen

# What the register knows of it (core/kit.py).
USUAL = ""
PLACE = 19
BYTES = 13.0
KEEPS = ()
SYMBOLS = ()

# The surface is averaged over the levels of the smoothed mask within this of 1/2.
BAND = 0.2

# Voxels at each end of the stack whose gradients are one-sided.
RIM = 2

# Slices whose gradients are held at a time.
SLAB = 32


def concavity(specimen: Specimen, *, sigma: float = 1.5) -> tuple[Number, ...]:
    """Share of the curvature of the bone surface that is concave: what makes SMI useless on dense bone.

    SMI adds convex and concave surface with opposite signs; above a few percent of concave surface it is no index
    of rods and plates (Salmon et al., Front. Endocrinol. 6:162, 2015). Of the mask smoothed by a Gaussian, the mean
    curvature is half the divergence of the outward normal; over the level surfaces around 1/2 (co-area formula) the
    share is Σ concave |H| / Σ |H|. Voxels within two of the border of the volume of interest do not count. Balls
    have 0, cavities 1.

    The share depends on how finely the surface is looked at, so it is to be compared at one `sigma` only. At 1.5
    voxels that of a torus whose tube has a radius of 6 to 9 voxels (0.103 and 0.046) is read within 0.02; at 0.8 the
    staircase of the voxels adds up to 0.05. Human trabecular bone (LHDL 3155, 19.5 µm) reads 0.31 at 0.8 voxels, 0.28
    at 1, 0.24 at 1.5 and 0.21 at 2.

    Parameters
    ----------
    specimen : Specimen
        On cubic voxels.
    sigma : float
        Standard deviation of the Gaussian [voxel]; below 1 the staircase of the voxels is curved too.

    Returns
    -------
    smi_concave : 1
    """
    if not sigma > 0:
        raise UsageError(f"concavity(sigma={sigma:g}); it must be positive")
    specimen.side("concavity")
    if min(specimen.labels.shape) <= 2 * RIM + 1:
        raise UsageError(f"concavity needs more than {2 * RIM + 1} voxels along each axis")
    field = gaussian_filter(specimen.bone.astype(np.float32), sigma, truncate=4.0)
    concave = total = 0.0
    for first in range(RIM, len(field) - RIM, SLAB):
        slab = slice(first - RIM, min(first + SLAB, len(field) - RIM) + RIM)
        bend, weight = _curvature(field[slab], specimen.voi[slab])
        concave += float(weight[bend < 0].sum(dtype=np.float64))
        total += float(weight.sum(dtype=np.float64))
    rule = f"of the mask smoothed by {sigma:g} voxels"
    share = concave / total if total else nan
    return (Number("smi_concave", share, "1", f"concave share of the mean curvature of the bone surface, {rule}"),)


def _curvature(field: Array, voi: NDArray[np.bool_]) -> tuple[Array, Array]:
    """Twice the mean curvature near the surface [1/voxel], and what it weighs, voxel by voxel; not of the rim."""
    gradient = np.asarray(np.gradient(field))
    steepness = np.sqrt(np.square(gradient).sum(0))
    normal = -gradient / np.maximum(steepness, 1e-6)
    near = (np.abs(field - 0.5) < BAND) & _away_from_border(voi)
    bend = np.asarray(sum(np.gradient(normal[axis], axis=axis) for axis in range(3)))[near]
    return bend, steepness[near] * np.abs(bend)


def _away_from_border(voi: NDArray[np.bool_]) -> NDArray[np.bool_]:
    inside = voi.copy()
    for axis in range(3):
        for end in (slice(0, RIM), slice(voi.shape[axis] - RIM, None)):
            inside[(slice(None),) * axis + (end,)] = False
    return inside
