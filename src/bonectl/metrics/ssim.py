"""Structural similarity in three dimensions (Wang et al., IEEE Trans. Image Process. 13:600, 2004)."""

from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from bonectl.core.table import Number
from bonectl.errors import UsageError
from bonectl.morphology.specimen import Specimen, data_range

# What the register knows of it (core/kit.py).
USUAL = "against"
PLACE = 14
BYTES = 18.0
KEEPS = ()
SYMBOLS = ()

# The window is cut at 3.5 sigma, and slices are worked on in blocks of this many to bound memory.
CUT, BLOCK = 3.5, 32


def ssim(
    specimen: Specimen, reference: Specimen, *, sigma: float = 1.5, range: float | None = None
) -> tuple[Number, ...]:
    """Mean structural similarity with a 3-D Gaussian window over the volume of interest.

    Without sample covariance, K1 = 0.01, K2 = 0.03; voxels nearer to the border of the stack than the window's
    radius do not count. This is scikit-image's `structural_similarity` with `gaussian_weights`.

    Parameters
    ----------
    specimen, reference : Specimen
        With grey values in the same unit.
    sigma : float
        Of the window [voxel].
    range : float, optional
        Data range in the unit of the values; for mgHA/cm3 bone minus marrow, 1050. Never taken from an image.

    Returns
    -------
    ssim : 1
    """
    peak = data_range(specimen.unit, range, "ssim")
    ours, theirs = specimen.values("ssim"), reference.values("ssim")
    rim = int(CUT * sigma + 0.5)
    planes = ours.shape[0]
    if min(ours.shape) <= 2 * rim:
        raise UsageError(f"ssim needs more than {2 * rim} voxels along each axis, the volume has {ours.shape}")
    inside = specimen.voi.copy()
    inside[:, :rim] = inside[:, -rim:] = inside[:, :, :rim] = inside[:, :, -rim:] = False
    total, count = 0.0, 0
    for start in np.arange(rim, planes - rim, BLOCK):
        stop = min(start + BLOCK, planes - rim)
        window = slice(start - rim, stop + rim)
        similarity = _map(ours[window], theirs[window], sigma, peak)[rim : rim + stop - start]
        total += float(similarity[inside[start:stop]].sum())
        count += int(np.count_nonzero(inside[start:stop]))
    if not count:
        raise UsageError("ssim: no voxel of the volume of interest lies a window's radius inside the stack")
    rule = (
        f"3-D Gaussian window sigma {sigma:g} voxels, range {peak:g} {specimen.unit}, mean over the volume of interest"
    )
    return (Number("ssim", total / count, "1", rule),)


def _map(a: NDArray[np.number], b: NDArray[np.number], sigma: float, peak: float) -> NDArray[np.float64]:
    """Similarity at each voxel of a block."""
    x, y = a.astype(np.float64), b.astype(np.float64)
    blur = partial(gaussian_filter, sigma=sigma, truncate=CUT)
    mx, my = blur(x), blur(y)
    vx, vy, cov = blur(x * x) - mx * mx, blur(y * y) - my * my, blur(x * y) - mx * my
    c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    similarity: NDArray[np.float64] = (2 * mx * my + c1) * (2 * cov + c2) / ((mx * mx + my * my + c1) * (vx + vy + c2))
    return similarity
